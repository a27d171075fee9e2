import Glibc

/// The process's own terminal: the standard output is data, the standard error is for people.
package struct Console: Sendable {
  package struct OutputFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
  }

  /// The standard output's.
  package let style: TextStyle
  package let isTerminal: Bool
  private let errorStyle: TextStyle
  private let progressOnTerminal: Bool

  package init(environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }) {
    isTerminal = isatty(STDOUT_FILENO) == 1
    let isUnicode = Self.isUnicode(environment)
    let isDumb = ["", "dumb"].contains(environment("TERM") ?? "")
    let mayColor = !isDumb && (environment("NO_COLOR") ?? "").isEmpty
    style = TextStyle(hasColor: isTerminal && mayColor, isUnicode: isUnicode)
    let errorIsTerminal = isatty(STDERR_FILENO) == 1
    errorStyle = TextStyle(hasColor: errorIsTerminal && mayColor, isUnicode: isUnicode)
    progressOnTerminal = errorIsTerminal && !isDumb
  }

  /// Whether `show` draws a bar; else it prints lines.
  package var drawsProgress: Bool { progressOnTerminal }

  /// To the standard output, all of it.
  package func write(_ text: String) throws(OutputFailure) {
    if let error = Self.write(text, to: STDOUT_FILENO) {
      throw OutputFailure(
        description: "the standard output can't be written: \(String(cString: strerror(error)))")
    }
  }

  /// A line for people. An unwritable standard error is nobody's to tell.
  package func note(_ text: String) { _ = Self.write(errorStyle.printable(text) + "\n", to: STDERR_FILENO) }

  package func error(_ text: String) {
    note(errorStyle.paint("tierctl:", .red) + " " + text)
  }

  /// Draws over the line before.
  package func draw(_ line: (ProgressBar) -> String) {
    let bar = ProgressBar(style: errorStyle, width: Self.columns(of: STDERR_FILENO))
    _ = Self.write("\r\u{1B}[K" + line(bar), to: STDERR_FILENO)
  }

  package func clearProgress() { if progressOnTerminal { _ = Self.write("\r\u{1B}[K", to: STDERR_FILENO) } }

  /// For `--watch`: on a terminal over the picture before, else below it.
  package func refresh(_ text: String) throws(OutputFailure) {
    try write(isTerminal ? "\u{1B}[H\u{1B}[2J\u{1B}[3J" + text : text + "\n")
  }

  private static func isUnicode(_ environment: (String) -> String?) -> Bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap(environment).first { !$0.isEmpty } ?? "C"
    let name = locale.lowercased()
    return name.contains("utf-8") || name.contains("utf8")
  }

  private static func columns(of descriptor: Int32) -> Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  private static func write(_ text: String, to descriptor: Int32) -> Int32? {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        return errno
      }
      rest = rest.dropFirst(count)
    }
    return nil
  }
}
