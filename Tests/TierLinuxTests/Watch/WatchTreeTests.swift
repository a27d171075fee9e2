import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

@Suite struct WatchTreeTests {
  /// Against a model that keeps whole paths.
  @Test(arguments: [UInt64](1...10)) func agreesWithAModel(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    var tree = WatchTree(rootInode: 1)
    var model: [Int32: RelativePath] = [:]
    var nextWatch: Int32 = 1
    for step in 0..<4000 {
      let directory = model.randomElement(using: &random)?.value ?? .root
      let parent = random.next() % 3 == 0 ? RelativePath.root : directory
      let name = FileName("n\(random.next() % 12)")!
      let place = parent.appending(name)
      let parentIndex = try #require(find(parent, in: tree))
      switch random.next() % 8 {
      case 0...4 where !model.values.contains(place):
        let index = tree.add(name, under: parentIndex, inode: UInt64(step))
        tree.setWatch(nextWatch, inode: UInt64(step), of: index)
        model[nextWatch] = place
        nextWatch += 1
      case 5 where !model.isEmpty && !model.values.contains(place) && !parent.isWithin(directory):
        let index = try #require(find(directory, in: tree))
        tree.detach(index)
        #expect(tree.path(of: index) == nil)
        tree.attach(index, under: parentIndex, named: name)
        for (watch, path) in model {
          if let rest = path.relative(to: directory) { model[watch] = place.appending(rest) }
        }
      case 6 where !directory.isRoot && model.count > 60:
        var removed: Set<Int32> = []
        tree.remove(try #require(find(directory, in: tree))) { _, watch in removed.insert(watch!) }
        #expect(removed == Set(model.filter { $0.value.isWithin(directory) }.keys))
        for watch in removed { model[watch] = nil }
      default: continue
      }
      #expect(tree.watchedCount == model.count && tree.count == model.count + 1)
    }
    #expect(model.count > 20)
    for (watch, path) in model {
      let index = try #require(tree.node(watching: watch))
      #expect(tree.path(of: index) == path)
      #expect(find(path, in: tree) == index)
      #expect(tree.parent(of: index).map { tree.isWithin(index, $0) } == true)
    }
    #expect(tree.node(watching: nextWatch) == nil)
  }

  private func find(_ path: RelativePath, in tree: WatchTree) -> WatchTree.Index? {
    var index = WatchTree.root
    for name in path.components {
      guard let child = tree.child(of: index, named: name) else { return nil }
      index = child
    }
    return index
  }

  /// Names that are renamed for ever don't pile up.
  @Test func memoryOfNamesIsTakenBack() {
    var arena = NameArena()
    for _ in 0..<400 { arena.drop(arena.append([UInt8](repeating: 0x61, count: 250))) }
    #expect(arena.isWasteful)
    var tree = WatchTree()
    let kept = tree.add(FileName("kept")!, under: WatchTree.root, inode: 2)
    let moved = tree.add(FileName("moved")!, under: kept, inode: 3)
    for count in 0..<20_000 {
      tree.detach(moved)
      tree.attach(moved, under: kept, named: FileName("moved-\(count)")!)
    }
    #expect(tree.path(of: moved) == at("kept/moved-19999"))
    #expect(tree.nameBytes < 256 << 10)
  }

  @Test func theTableFindsAllUnderOneKey() {
    var table = IndexTable()
    for index in 0..<3000 { table.insert(Int32(index), key: UInt32(index % 7)) }
    for index in stride(from: 0, to: 3000, by: 2) { table.remove(Int32(index), key: UInt32(index % 7)) }
    #expect(table.count == 1500)
    for index in 0..<3000 {
      #expect((table.first(UInt32(index % 7)) { $0 == Int32(index) } != nil) == (index % 2 == 1))
    }
  }
}
