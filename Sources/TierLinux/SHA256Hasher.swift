import CLibCrypto
import TierCore

/// SHA-256 by the system's libcrypto, which uses the processor's own instructions. A value: copies go on
/// independently.
package struct SHA256Hasher: Sendable {
  private var context = Context()

  package init() {}

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    if !isKnownUniquelyReferenced(&context) { context = Context(copying: context) }
    EVP_DigestUpdate(context.pointer, bytes.baseAddress, bytes.count)
  }

  /// Starts anew afterwards.
  package mutating func finish() -> ContentHash {
    if !isKnownUniquelyReferenced(&context) { context = Context(copying: context) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
      EVP_DigestFinal_ex(context.pointer, buffer.baseAddress, nil)
      count = 32
    }
    context.restart()
    return ContentHash(bytes)!
  }

  package static func hash(_ bytes: UnsafeRawBufferPointer) -> ContentHash {
    var hasher = SHA256Hasher()
    hasher.update(bytes)
    return hasher.finish()
  }

  /// Changed only while uniquely referenced, hence safe to send.
  private final class Context: @unchecked Sendable {
    let pointer: OpaquePointer

    init() {
      guard let pointer = EVP_MD_CTX_new() else { fatalError("libcrypto: out of memory") }
      self.pointer = pointer
      restart()
    }

    convenience init(copying other: Context) {
      self.init()
      precondition(EVP_MD_CTX_copy_ex(pointer, other.pointer) == 1)
    }

    func restart() {
      precondition(EVP_DigestInit_ex(pointer, EVP_sha256(), nil) == 1, "no SHA-256 in libcrypto")
    }

    deinit { EVP_MD_CTX_free(pointer) }
  }
}
