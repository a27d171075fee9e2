import CTierLinux
import Glibc
import TierCore
import TierLinux

extension GuardedContent {
  /// What the file's identity says. `value`: see `attributeRoom`.
  init(of file: Int32, _ identity: String, _ value: UnsafeMutableRawBufferPointer) {
    let length = tier_get_attribute(file, identity, value.baseAddress, value.count)
    switch length {
    case -Int(ENODATA), -Int(EOPNOTSUPP): self = .unmarked
    case ..<0: self = .unreadable
    default: self = Self.read(UnsafeRawBufferPointer(rebasing: value[..<length]), of: file)
    }
  }

  /// For the longest attribute that there can be. The caller frees it.
  static func attributeRoom() -> UnsafeMutableRawBufferPointer {
    .allocate(byteCount: 64 << 10, alignment: 8)
  }

  private static func read(_ value: UnsafeRawBufferPointer, of file: Int32) -> GuardedContent {
    guard let state = IdentityState.peek(value) else { return .unreadable }
    guard state.withholdsContent else { return .marked(state) }
    var status = tier_status()
    let isFile = tier_statx(file, "", &status) != 0 || status.mode & UInt32(S_IFMT) == UInt32(S_IFREG)
    return isFile ? .marked(state) : .unmarked
  }
}

extension IdentityName {
  var attribute: String {
    switch self {
    case .trusted: AttributeNames.identity
    case .user: AttributeNames.unprivilegedIdentity
    }
  }
}

enum OpenedFile {
  /// As it is seen by whoever opened it; for the log.
  static func path(_ file: Int32) -> String { EscapedText.encode(Descriptor.name(of: file)) }
}
