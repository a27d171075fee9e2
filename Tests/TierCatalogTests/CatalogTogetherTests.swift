import Synchronization
import Testing
import TierCatalog
import TierCore
import TierLinux

@Suite struct CatalogTogetherTests {
  let fixture: CatalogFixture
  var catalog: SQLiteCatalog { fixture.catalog }

  init() throws { fixture = try CatalogFixture() }

  private func isKnown(_ name: String) throws(TierError) -> Bool {
    try catalog.file(named: FileName(name)!, in: fixture.volume.root) != nil
  }

  /// What another thread sees meanwhile.
  private func isKnownElsewhere(_ name: String) -> Bool {
    let (catalog, root) = (catalog, fixture.volume.root)
    let answer = Mutex(false)
    OwnedThread(name: "other") {
      let file = try? catalog.file(named: FileName(name)!, in: root)
      answer.withLock { $0 = file != nil }
    }.join()
    return answer.withLock { $0 }
  }

  @Test func showsEachOtherAtOnceAndOthersAllAfterwards() throws {
    let (first, second) = (fixture.file("first"), fixture.file("second"))
    try catalog.together { () throws(TierError) in
      try catalog.apply([.put(first)])
      let isKnownHere = try isKnown("first")
      #expect(isKnownHere)
      #expect(!isKnownElsewhere("first"))
      try catalog.apply([.put(second)])
    }
    #expect(isKnownElsewhere("first"))
    #expect(isKnownElsewhere("second"))
  }

  @Test func undoesAllWhereTheBodyThrows() throws {
    let file = fixture.file("file")
    #expect(throws: TierError.self) {
      try catalog.together { () throws(TierError) in
        try catalog.apply([.put(file)])
        throw TierError(.internalFault, "a fault")
      }
    }
    #expect(try !isKnown("file"))
    try catalog.apply([.put(file)])
    #expect(isKnownElsewhere("file"))
  }

  @Test func undoesAFailedPartAlone() throws {
    let (before, undone, after) = (fixture.file("before"), fixture.file("undone"), fixture.file("after"))
    try catalog.together { () throws(TierError) in
      try catalog.apply([.put(before)])
      #expect(throws: TierError.self) {
        try catalog.together { () throws(TierError) in
          try catalog.apply([.put(undone)])
          throw TierError(.internalFault, "a fault")
        }
      }
      try catalog.together { () throws(TierError) in try catalog.apply([.put(after)]) }
    }
    #expect(isKnownElsewhere("before"))
    #expect(isKnownElsewhere("after"))
    #expect(!isKnownElsewhere("undone"))
  }

  @Test func undoesAFailedCallAlone() throws {
    let (kept, undone) = (fixture.file("kept"), fixture.file("undone"))
    var unknown = fixture.file("unknown")
    unknown.id = FileID(12_345)
    try catalog.together { () throws(TierError) in
      try catalog.apply([.put(kept)])
      #expect(throws: TierError.self) { try catalog.apply([.put(undone), .put(unknown)]) }
    }
    #expect(try isKnown("kept"))
    #expect(try !isKnown("undone"))
  }

  @Test func belongsToTheOuterOneWithinAnother() throws {
    let (inner, outer) = (fixture.file("inner"), fixture.file("outer"))
    #expect(throws: TierError.self) {
      try catalog.together { () throws(TierError) in
        try catalog.together { () throws(TierError) in try catalog.apply([.put(inner)]) }
        try catalog.apply([.put(outer)])
        throw TierError(.internalFault, "a fault")
      }
    }
    #expect(try !isKnown("inner"))
    #expect(try !isKnown("outer"))
  }
}
