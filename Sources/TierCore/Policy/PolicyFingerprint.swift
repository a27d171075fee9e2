/// 64 bits over what policies say, by FNV-1a: stable between processes, unlike `Hasher`. Detects change; isn't
/// proof against somebody who seeks a collision.
struct PolicyFingerprint {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  /// Of policies in a settled order.
  static func of(_ policies: [Policy]) -> UInt64 {
    var hash = PolicyFingerprint()
    for pattern in TemporaryNames.reservedPatterns + TemporaryNames.patterns { hash.add(pattern) }
    for policy in policies { hash.add(policy) }
    return hash.state
  }

  private mutating func add(_ policy: Policy) {
    add(policy.name)
    add(policy.volume)
    add(policy.path.bytes)
    add(policy.target ?? "")
    add(Int64(policy.priority))
    add(Int64(policy.rules.count))
    for rule in policy.rules {
      switch rule.effect {
      case .include: add("+")
      case .exclude: add("-")
      case .except: add("!")
      }
      add(rule.glob.text)
    }
    // -1 stands for "none": all of these are never negative.
    add(policy.minimumSize ?? -1)
    add(policy.maximumSize ?? -1)
    add(policy.archive.after.nanoseconds)
    add(policy.archive.within.nanoseconds)
    add(policy.release.after?.nanoseconds ?? -1)
    add(policy.release.keepBelow)
    add(policy.pin ? 1 : 0)
    add(policy.keepDeleted?.nanoseconds ?? -1)
    add(policy.restore.mode.rawValue)
    add(policy.restore.stay.nanoseconds)
    add(Int64(policy.restore.refuse.rules.count))
    for rule in policy.restore.refuse.rules { add(rule.text) }
    add(Int64(policy.restore.perMinute))
  }

  private mutating func add(_ text: String) { add(Array(text.utf8)) }

  private mutating func add(_ bytes: [UInt8]) {
    add(Int64(bytes.count))
    for byte in bytes { addByte(byte) }
  }

  private mutating func add(_ number: Int64) {
    for shift in stride(from: 0, to: 64, by: 8) {
      addByte(UInt8(truncatingIfNeeded: UInt64(bitPattern: number) >> UInt64(shift)))
    }
  }

  private mutating func addByte(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
}
