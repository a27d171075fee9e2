import TierCore

extension Engine {
  package func planRestore(_ selection: FileSelection) throws(TierError) -> OrderPlan {
    var plan = OrderPlan()
    try each(selection) { file, _, _ in
      guard file.state == .released, let copy = file.copy else { return }
      plan.parts[copy.target, default: .init()].files += 1
      plan.parts[copy.target, default: .init()].bytes += copy.size
    }
    return plan
  }

  /// Brings released files back, ordered by place; files that are there already count as done.
  package func restore(_ selection: FileSelection, pinUntil: Timestamp?) throws(TierError) -> RequestHandle {
    let handle = context.requests.open("restore")
    var orders: [(CatalogFile, RelativePath)] = []
    var resident = 0
    try each(selection) { (file, path, volume) throws(TierError) in
      if file.state == .released {
        orders.append((file, path))
      } else {
        resident += 1
        if let pinUntil { try volume.pin(file, until: pinUntil) }
      }
    }
    if resident > 0 { handle.note("\(HumanText.files(resident)) in the cache already") }
    handle.expect(files: orders.count, bytes: orders.reduce(0) { $0 + ($1.0.copy?.size ?? 0) })
    let ended = Countdown(orders.count) { handle.finish() }
    for (target, group) in Dictionary(grouping: orders, by: { $0.0.copy?.target ?? "" }) {
      guard let service = context.windowService(target) else {
        for (_, path) in group {
          handle.fail(
            "\(path): its target \"\(target)\" is no longer configured: add it to targets in tierd.yaml")
          ended.partEnded()
        }
        continue
      }
      let sorted = group.sorted { ($0.0.copy?.path ?? .root) < ($1.0.copy?.path ?? .root) }
      context.restore(sorted.map { ($0.0, restoreOrder($0.0, $0.1, pinUntil, handle, ended)) }, by: service)
    }
    return handle
  }

  func restoreOrder(
    _ file: CatalogFile, _ path: RelativePath, _ pinUntil: Timestamp?, _ handle: RequestHandle,
    _ ended: Countdown
  ) -> RestoreOrder {
    // A window that fails answers all its orders, those that were served before it failed as well.
    let first = Countdown(1) {}
    return RestoreOrder(
      file: file.id!, bytes: file.copy?.size ?? 0, cause: "tierctl restore \(path)", pinUntil: pinUntil
    ) { result in
      guard first.partEnded() else { return }
      switch result {
      case .success(let bytes): handle.advance(files: 1, bytes: bytes)
      case .failure(let error): handle.fail(error.path == nil ? "\(path): \(error)" : "\(error)")
      }
      ended.partEnded()
    }
  }
}

extension EngineContext {
  /// What was released seconds ago still lingers: it comes back without the target.
  func restore(_ orders: [(CatalogFile, RestoreOrder)], by service: WindowService) {
    for (volume, group) in Dictionary(grouping: orders, by: \.0.volume) {
      guard let loop = volumeServices.first(where: { $0.volume?.id == volume }) else {
        let error = TierError(.volumeUnavailable, "its volume isn't there", disposition: .retry)
        for (_, order) in group { order.done(.failure(error)) }
        continue
      }
      let lingering = group.filter { file, _ in
        let intents = file.id.flatMap { try? catalog.openIntents(for: $0) } ?? []
        return intents.contains { $0.kind == .release }
      }.map(\.1)
      let waiting = Set(lingering.map(\.file))
      service.restore(group.map(\.1).filter { !waiting.contains($0.file) })
      if lingering.isEmpty { continue }
      loop.enqueue { loop in
        for order in lingering {
          guard case .success(let loop) = loop,
            (try? loop.takeBack(order.file, pinUntil: order.pinUntil)) == true
          else {
            service.restore([order])
            continue
          }
          order.done(.success(0))
        }
      }
    }
  }
}
