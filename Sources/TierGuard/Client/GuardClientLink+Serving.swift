import Synchronization
import TierCore
import TierLinux

// MARK: While there is a guard

extension GuardClientLink {
  /// Until the connection ends, or is to be made anew.
  func serve(_ socket: PacketSocket) {
    var hasBacklog = false
    defer { state.withLock { $0.isConnected = false } }
    while !state.withLock({ $0.isClosed || $0.mustReconnect }) {
      switch flush(socket) {
      case .sent: hasBacklog = false
      case .later: hasBacklog = true
      case .ended: return drain(socket)
      }
      if socket.wait(wakeup, toSend: hasBacklog) {
        guard take(socket) else { return }
      }
    }
    // A last answer, before a `close`.
    _ = flush(socket)
  }

  private func flush(_ socket: PacketSocket) -> PacketSocket.Sent {
    while let next = state.withLock({ $0.outgoing.first }) {
      let sent = socket.send(next.message.encoded, next.file.map { [$0.raw] } ?? [])
      guard sent == .sent else { return sent }
      state.withLock { _ = $0.outgoing.removeFirst() }
    }
    return .sent
  }

  /// What a guard that has ended had sent still counts: openers that only this side knows of.
  private func drain(_ socket: PacketSocket) { _ = take(socket) }

  /// False at the end.
  private func take(_ socket: PacketSocket) -> Bool {
    while true {
      switch socket.receive() {
      case .nothingYet: return true
      case .ended, .unreadable: return false
      case .packet(let bytes, let files):
        guard let message = try? GuardMessage(bytes) else { return false }
        switch message {
        case .request(let request):
          guard let file = files.first else { return false }
          arrived(WaitingOpener(request: request, file: file))
        case .settled(let token): settled(token)
        case .ready(let id, let errno): state.withLock { $0.stubbings[id] }?.give(errno)
        case .unprotected: return unprotected()
        case .protected, .refused: return false
        }
      }
    }
  }

  private func arrived(_ opener: WaitingOpener) {
    state.withLock { state in
      let token = opener.request.token
      if state.held[token] == nil { state.unseen.append(token) }
      state.held[token] = GuardClientState.Held(opener: opener)
    }
    arrivals.signal()
  }

  func settled(_ token: GuardToken) { state.withLock { $0.held[token] = nil } }

  private func unprotected() -> Bool {
    state.withLock { state in
      state.group = nil
      state.held = [:]
      state.isClosed = true
      state.unprotecting?.give(0)
      state.unprotecting = nil
    }
    return false
  }
}
