import TierAPI

/// The one line that a terminal shows while a request runs. Pure: the console draws it.
package struct ProgressBar: Sendable {
  private let style: TextStyle
  private let width: Int

  /// `width`: the terminal's columns; the last one stays free, so that no terminal wraps.
  package init(style: TextStyle, width: Int) {
    self.style = style
    self.width = max(20, width - 1)
  }

  package func line(_ request: RequestReport) -> String {
    let name = "\(request.kind.rawValue) "
    let tail = " " + request.progress
    guard let share = share(of: request) else {
      return style.printable(name + request.progress).cut(to: width)
    }
    let percent = "\(Int((share * 100).rounded(.down))) %".padded(to: 5, alignment: .right)
    let room = min(30, width - name.displayWidth - percent.displayWidth - tail.displayWidth - 3)
    guard room >= 5 else { return style.printable(name + percent + tail).cut(to: width) }
    return style.printable("\(name)[\(bar(share, room))] \(percent)\(tail)").cut(to: width)
  }

  /// By bytes; by files where there are none.
  private func share(of request: RequestReport) -> Double? {
    if let total = request.bytesTotal, total > 0 {
      return min(1, max(0, Double(request.bytesDone) / Double(total)))
    }
    guard let total = request.filesTotal, total > 0 else { return nil }
    return min(1, max(0, Double(request.filesDone) / Double(total)))
  }

  private func bar(_ share: Double, _ room: Int) -> String {
    let full = Int((share * Double(room)).rounded(.down))
    guard style.isUnicode else {
      return String(repeating: "#", count: full) + String(repeating: ".", count: room - full)
    }
    return String(repeating: "█", count: full) + String(repeating: "░", count: room - full)
  }
}
