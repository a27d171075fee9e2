import Synchronization

/// Works on the items with `width` threads of its own; `onResult` runs on the caller's, in the order of
/// completion. When it throws, no further item is begun, and those begun are waited for.
package func inParallel<Item: Sendable, Output: Sendable, Failure: Error>(
  _ items: [Item], width: Int, work: @escaping @Sendable (Item) -> Output,
  onResult: (Item, Output) throws(Failure) -> Void
) throws(Failure) {
  let results = BlockingQueue<(Int, Output)>()
  let next = SharedCounter()
  let threads = (0..<min(width, items.count)).map { _ in
    OwnedThread(name: "tierd-copy") {
      while let index = next.take(below: items.count) { results.push((index, work(items[index]))) }
    }
  }
  defer {
    next.exhaust()
    for thread in threads { thread.join() }
  }
  for _ in items {
    let (index, output) = results.pop()
    try onResult(items[index], output)
  }
}

private final class SharedCounter: Sendable {
  private let value = Atomic(0)

  func take(below limit: Int) -> Int? {
    let taken = value.add(1, ordering: .relaxed).oldValue
    return taken < limit ? taken : nil
  }

  func exhaust() { value.store(Int.max / 2, ordering: .relaxed) }
}
