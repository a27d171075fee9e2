import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

/// Nothing in a volume leads out of it.
@Suite struct EscapeTests {
  let outside: TemporaryDirectory
  let directory: TemporaryDirectory
  let files: LinuxFileSystem

  init() throws {
    outside = try TemporaryDirectory()
    directory = try TemporaryDirectory()
    files = try directory.fileSystem()
    try outside.fileSystem().put(at("secret"), "secret")
  }

  /// A link as a middle component, absolute, relative upwards, or inside the volume: refused by every call.
  @Test(arguments: ["absolute", "relative", "within", "proc"])
  func noCallFollowsALinkInThePath(_ kind: String) throws {
    try files.put(at("real/secret"), "inside")
    let text =
      switch kind {
      case "absolute": outside.path
      case "relative": "../" + outside.path.split(separator: "/").last!
      case "proc": "/proc/self/root" + outside.path
      default: "real"
      }
    try files.makeSymlink(at("way"), to: Array(text.utf8), at: "test.symlink")
    let path = at("way/secret")
    let calls: [(String, () throws -> Void)] = [
      ("open", { _ = try files.open(path, .read, at: "test") }),
      ("create", { _ = try files.open(at("way/new"), .create(mode: 0o600), at: "test") }),
      ("list", { _ = try files.list(at("way"), at: "test") }),
      ("listBelow", { _ = try files.list(at("way/below"), at: "test") }),
      ("readLink", { _ = try files.readLink(path, at: "test") }),
      ("symlink", { try files.makeSymlink(at("way/new"), to: [0x61], at: "test") }),
      ("mkdir", { try files.makeDirectory(at("way/new"), mode: 0o700, at: "test") }),
      ("rmdir", { try files.removeDirectory(at("way/new"), at: "test") }),
      ("unlink", { try files.unlink(path, at: "test") }),
      ("renameFrom", { try files.rename(path, to: at("taken"), .replace, at: "test") }),
      ("renameTo", { try files.rename(at("real/secret"), to: path, .replace, at: "test") }),
      ("sync", { try files.syncDirectory(at("way"), at: "test") }),
      ("setxattr", { try files.setAttribute("user.a", to: [1], of: path, at: "test") }),
      ("chown", { try files.setOwner(of: path, owner: getuid(), group: getgid(), at: "test") }),
      (
        "times",
        {
          let time = FileTime(seconds: 1, nanoseconds: 0)
          try files.setTimes(of: path, modified: time, accessed: time, at: "test")
        }
      ),
    ]
    // O_DIRECTORY is looked at before the link is: Linux then says "not a directory".
    for (name, call) in calls { #expect([ELOOP, EXDEV, ENOTDIR].contains(errno(call)), "\(name)") }
    // What lies beyond a link isn't in the tree.
    #expect(try files.status(of: path, at: "test") == nil)
    #expect(try files.attribute("user.a", of: path, at: "test") == nil)
    #expect(try outside.fileSystem().text(of: at("secret")) == "secret")
    #expect(try files.text(of: at("real/secret")) == "inside")
  }

  /// While `swap` is a directory and a link to the outside by turns, thousands of creations through it land in
  /// the volume or fail.
  @Test func aParentSwappedMeanwhileLeadsNowhere() throws {
    try files.makeDirectory(at("swap"), mode: 0o755, at: "test.mkdir")
    try files.makeSymlink(at("link"), to: Array(outside.path.utf8), at: "test.symlink")
    let stop = try Wakeup()
    let swapper = OwnedThread(name: "swapper") { [files] in
      while !stop.wait(atMost: .zero) {
        try? files.rename(at("swap"), to: at("link"), .exchange, at: "test.exchange")
      }
    }
    var (made, refused) = (0, 0)
    let clock = SystemClock()
    let end = clock.monotonic + .seconds(60)
    while made < 300 || refused < 300, clock.monotonic < end {
      do {
        try files.open(at("swap/new"), .create(mode: 0o600), at: "test.create").close()
        made += 1
      } catch  where error.errno == EEXIST {
        _ = try? files.unlink(at("swap/new"), at: "test.unlink")
      } catch {
        refused += 1
      }
    }
    stop.signal()
    swapper.join()
    #expect(made >= 300 && refused >= 300, "too few to prove anything")
    #expect(try outside.fileSystem().list(.root, at: "test.list").map(\.name.description) == ["secret"])
  }

  @Test func theRootKeepsItsDirectoryWhenThePathIsSwapped() throws {
    try files.put(at("file"), "mine")
    let (path, moved) = (directory.path, directory.path + "-moved")
    rename(path, moved)
    symlink(outside.path, path)
    #expect(try files.text(of: at("file")) == "mine")
    #expect(try !files.exists(at("secret")))
    Glibc.unlink(path)
    rename(moved, path)
  }
}
