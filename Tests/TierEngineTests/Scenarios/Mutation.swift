import Glibc
import Testing

/// Something that an app does to `dir/file` at a bad moment.
struct Mutation: Sendable, CustomTestStringConvertible {
  let name: String
  /// What it gives ends when the engine has gone on: descriptors that were held open are used and closed.
  let run: @Sendable (World) -> (() -> Void)?

  var testDescription: String { name }

  private init(name: String, run: @escaping @Sendable (World) -> (() -> Void)?) {
    self.name = name
    self.run = run
  }

  init(_ name: String, _ run: @escaping @Sendable (World) -> Void) {
    self.init(name: name) {
      run($0)
      return nil
    }
  }

  static func holding(_ name: String, _ run: @escaping @Sendable (World) -> (() -> Void)?) -> Mutation {
    Mutation(name: name, run: run)
  }

  static let file = "dir/file"
  static let other = "dir/other"

  static let all = contents + names + kinds

  static let contents = [
    Mutation("rewritten in place") { _ = $0.overwrite(file, "XX") },
    Mutation("rewritten in place with its time put back") { world in
      var status = stat()
      guard lstat(world.absolute(file), &status) == 0, world.overwrite(file, "YY") else { return }
      var times = [status.st_atim, status.st_mtim]
      utimensat(AT_FDCWD, world.absolute(file), &times, 0)
    },
    Mutation("appended to") { $0.append(file, " and more") },
    Mutation("truncated") { $0.truncate(file, to: 3) },
    Mutation("emptied") { $0.truncate(file, to: 0) },
    Mutation.holding("held open and written later") { world in
      guard let handle = World.Handle(world, file) else { return nil }
      return {
        handle.write("late", at: 2)
        handle.close()
      }
    },
    Mutation.holding("held open for reading") { world in
      let fd = open(world.absolute(file), O_RDONLY)
      return fd >= 0 ? { _ = close(fd) } : nil
    },
    Mutation.holding("written through a mapping") { world in
      guard let handle = World.Handle(world, file) else { return nil }
      handle.writeMapped("MAPPED")
      return {
        handle.writeMapped("mapped later")
        handle.close()
      }
    },
    Mutation("touched") { utimensat(AT_FDCWD, $0.absolute(file), nil, AT_SYMLINK_NOFOLLOW) },
    Mutation("chmodded") { chmod($0.absolute(file), 0o600) },
    Mutation("given away") { lchown($0.absolute(file), 1234, 1234) },
  ]

  static let names = [
    Mutation("renamed") { $0.rename(file, "dir/renamed") },
    Mutation("moved to another directory") { $0.rename(file, "elsewhere/deep/file") },
    Mutation("renamed and followed by a new file") { world in
      world.rename(file, "dir/file.1")
      world.create(file, "the next log")
    },
    Mutation("rotated over the other file") { world in
      world.rename(file, other)
      world.create(file, "the next log")
    },
    Mutation("replaced by a rename") { world in
      world.create("dir/.file.tmp", "replaced")
      world.rename("dir/.file.tmp", file)
    },
    Mutation("replaced by another archived file") { $0.rename(other, file) },
    Mutation("swapped with another archived file") { $0.exchange(file, other) },
    Mutation("deleted") { $0.unlink(file) },
    Mutation("deleted and made anew") { world in
      world.unlink(file)
      world.create(file, "made anew")
    },
    Mutation("hard-linked") { $0.link(file, "dir/second name") },
    Mutation("copied with its attributes") { $0.copy(file, "dir/copy") },
    Mutation("copied with its attributes and deleted") { world in
      world.copy(file, "dir/copy")
      world.unlink(file)
    },
    Mutation("in a renamed directory") { $0.rename("dir", "renamed dir") },
    Mutation("in a renamed directory that is made anew") { world in
      world.rename("dir", "old dir")
      world.create(file, "in the new directory")
    },
    Mutation("in a deleted directory") { $0.removeTree("dir") },
    Mutation("in a deleted directory that is made anew") { world in
      world.removeTree("dir")
      world.create(file, "in the new directory")
    },
  ]

  static let kinds = [
    Mutation("replaced by a symbolic link") { world in
      world.unlink(file)
      world.symlink(file, to: "somewhere")
    },
    Mutation("moved away behind a symbolic link") { world in
      world.rename(file, "moved/file")
      world.symlink(file, to: "../moved/file")
    },
    Mutation("replaced by a FIFO") { world in
      world.unlink(file)
      world.fifo(file)
    },
    Mutation("replaced by a socket") { world in
      world.unlink(file)
      world.socket(file)
    },
    Mutation("replaced by a directory") { world in
      world.unlink(file)
      world.create("dir/file/inside", "inside")
    },
    Mutation("in a directory that becomes a symbolic link") { world in
      world.rename("dir", "real")
      world.symlink("dir", to: "real")
    },
  ]
}
