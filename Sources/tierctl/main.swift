import TierConsole

// `CommandLine.arguments` would replace the bytes of names that aren't UTF-8: taken raw, they travel as text.
let arguments = (1..<max(1, Int(CommandLine.argc))).compactMap { index -> String? in
  CommandLine.unsafeArgv[index].map { pointer in
    var bytes: [UInt8] = []
    var position = 0
    while pointer[position] != 0 {
      bytes.append(UInt8(bitPattern: pointer[position]))
      position += 1
    }
    return ArgumentBytes.encode(bytes)
  }
}
Tierctl.run(arguments)
