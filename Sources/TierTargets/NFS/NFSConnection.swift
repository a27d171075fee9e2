import CLibNFS
import Glibc
import TierCore
import TierLinux

/// One TCP connection to an RPC program of the server, and the loop that drives it.
///
/// Belongs to one thread. Calls are queued by `issue` and answered from within `turn`, which blocks, but never
/// longer than `timeout` without any answer. Once broken it stays broken: a silent reconnection between a WRITE
/// and its COMMIT would lose data unnoticed, so there is none.
final class NFSConnection {
  enum Program {
    case nfs, mount

    var number: Int32 { self == .nfs ? NFS_PROGRAM : MOUNT_PROGRAM }
    var version: Int32 { self == .nfs ? NFS_V3 : MOUNT_V3 }
  }

  let server: NFSServer
  /// Calls made so far; a test counts them.
  private(set) var calls = 0
  /// Calls without an answer yet.
  private(set) var outstanding = 0
  /// Whose calls are being issued, and to whose answers came; numbers as `run` gives them.
  private var caller: Int?
  private var answered: Set<Int> = []
  private var context: OpaquePointer?
  private var rpc: OpaquePointer
  private let timeout: Duration
  private let clock = SystemClock()
  private var lastAnswer: Duration = .zero
  private var fault: TierError?
  private var socketError: Int32 = 0

  /// `port` 0 asks the server's portmapper.
  init(
    to server: NFSServer, _ program: Program, port: UInt16, owner: UInt32, group: UInt32, timeout: Duration
  )
    throws(TierError)
  {
    // An NFS context only as the public way to an RPC context's settings; its own calls aren't used.
    guard let context = nfs_init_context(), let rpc = nfs_get_rpc_context(context) else {
      throw TierError(.internalFault, "libnfs: out of memory", disposition: .retry)
    }
    self.context = context
    self.rpc = rpc
    self.server = server
    self.timeout = timeout
    nfs_set_autoreconnect(context, 0)
    nfs_set_uid(context, Int32(bitPattern: owner))
    nfs_set_gid(context, Int32(bitPattern: group))
    var isConnected = false
    issue(
      "connect",
      { rpc, reply in
        port == 0
          ? rpc_connect_program_async(
            rpc, server.numericAddress, program.number, program.version, nfsAnswered, reply)
          : rpc_connect_port_async(
            rpc, server.numericAddress, Int32(port), program.number, program.version, nfsAnswered, reply)
      },
      { _ in isConnected = true })
    do {
      while !isConnected { try turn() }
    } catch {
      close()
      throw server.connectFault(error, socketError, program, port: port, within: timeout)
    }
  }

  deinit { close() }

  /// Answers to calls still under way are dropped. A second call does nothing.
  func close() {
    guard let context else { return }
    self.context = nil
    if fault == nil { fault = TierError(.internalFault, "the connection was closed") }
    nfs_destroy_context(context)
  }

  /// True where the server sees a port below 1024, which most exports demand.
  var hasPrivilegedPort: Bool {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(rpc_get_fd(rpc), $0, &length) }
    }
    // The port stands at the same place for both address families.
    return result == 0
      && withUnsafeBytes(of: address) { $0.load(fromByteOffset: 2, as: UInt16.self).bigEndian } < 1024
  }

  /// Queues a call. `answer` gets the reply, alive only during the call to it; never called once the connection
  /// is broken. What the call's arguments point to may go as soon as `start` returned.
  func issue(
    _ name: String, _ start: (OpaquePointer, UnsafeMutableRawPointer) -> Int32,
    _ answer: @escaping (UnsafeMutableRawPointer?) -> Void
  ) {
    guard fault == nil else { return }
    if outstanding == 0 { lastAnswer = clock.monotonic }
    let pending = Unmanaged.passRetained(
      PendingCall(connection: self, name: name, caller: caller, answer: answer))
    outstanding += 1
    calls += 1
    if start(rpc, pending.toOpaque()) != 0 {
      // Not queued: its callback will never come.
      pending.release()
      outstanding -= 1
      breakOff(name, text: rpc_get_error(rpc).map { String(cString: $0) })
    }
  }

  /// The calls that `body` issues, and those that their answers lead to, are the caller's.
  func issuing(for caller: Int?, _ body: () -> Void) {
    let outer = self.caller
    self.caller = caller
    body()
    self.caller = outer
  }

  /// The callers that got answers since this was last asked.
  func takeAnswered() -> Set<Int> {
    defer { answered = [] }
    return answered
  }

  /// Waits for at least one event, and handles what came.
  func turn() throws(TierError) {
    if let fault { throw fault }
    let left = lastAnswer + timeout - clock.monotonic
    var event = pollfd(fd: rpc_get_fd(rpc), events: Int16(rpc_which_events(rpc)), revents: 0)
    let ready = poll(&event, 1, Int32(clamping: max(1, left.nanoseconds / 1_000_000)))
    if event.revents & Int16(POLLERR | POLLHUP) != 0 { noteSocketError(event.fd) }
    if ready > 0, rpc_service(rpc, Int32(event.revents)) < 0 {
      breakOff("service", text: rpc_get_error(rpc).map { String(cString: $0) })
    } else if ready == 0, outstanding > 0, clock.monotonic - lastAnswer >= timeout {
      fault = server.timeoutFault(after: timeout)
    }
    if let fault { throw fault }
  }

  fileprivate func answered(_ call: PendingCall, status: Int32, data: UnsafeMutableRawPointer?) {
    outstanding -= 1
    lastAnswer = clock.monotonic
    guard fault == nil else { return }
    guard status == RPC_STATUS_SUCCESS else {
      let text =
        status == RPC_STATUS_ERROR
        ? data.map { String(cString: $0.assumingMemoryBound(to: CChar.self)) } : nil
      return breakOff(call.name, text: text)
    }
    if let caller = call.caller { answered.insert(caller) }
    issuing(for: call.caller) { call.answer(data) }
  }

  private func breakOff(_ name: String, text: String?) {
    guard fault == nil else { return }
    let cause =
      socketError == 0 ? "\(name): \(text ?? "no reason given")" : "\(name): \(errnoText(socketError))"
    fault = server.brokenFault(cause, hasPrivilegedPort)
  }

  /// libnfs says only that the socket failed.
  private func noteSocketError(_ socket: Int32) {
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(socket, SOL_SOCKET, SO_ERROR, &socketError, &length)
  }
}

/// Kept alive by the C side from the call to its answer, which comes exactly once.
private final class PendingCall {
  unowned let connection: NFSConnection
  let name: String
  let caller: Int?
  let answer: (UnsafeMutableRawPointer?) -> Void

  init(
    connection: NFSConnection, name: String, caller: Int?,
    answer: @escaping (UnsafeMutableRawPointer?) -> Void
  ) {
    self.connection = connection
    self.name = name
    self.caller = caller
    self.answer = answer
  }
}

/// A function, not a closure constant: it converts to a C function pointer.
func nfsAnswered(
  _ rpc: OpaquePointer?, _ status: Int32, _ data: UnsafeMutableRawPointer?,
  _ pending: UnsafeMutableRawPointer?
) {
  guard let pending else { return }
  let call = Unmanaged<PendingCall>.fromOpaque(pending).takeRetainedValue()
  // Destroying the context cancels what is under way; the connection may be half gone by then.
  guard status != RPC_STATUS_CANCEL else { return }
  call.connection.answered(call, status: status, data: data)
}

extension NFSConnection {
  /// One call, waited for.
  func wait<Value>(_ start: (@escaping (Value) -> Void) -> Void) throws(TierError) -> Value {
    var answer: Value?
    start { answer = $0 }
    while true {
      if let answer { return answer }
      try turn()
    }
  }

  /// One call for each item, at most `inFlight` of them under way; the answers in the items' order.
  func each<Item, Value>(
    _ items: some Collection<Item>, inFlight: Int = callsInFlight,
    _ start: (Item, @escaping (Value) -> Void) -> Void
  ) throws(TierError) -> [Value] {
    var answers = [Value?](repeating: nil, count: items.count)
    var missing = 0
    for (index, item) in items.enumerated() {
      while missing >= inFlight { try turn() }
      missing += 1
      start(item) {
        answers[index] = $0
        missing -= 1
      }
    }
    while missing > 0 { try turn() }
    return answers.map { $0! }
  }

  /// As `each`, for calls that change names in common directories. How many together are best depends on the
  /// server, and the first few show which it is: one that waits for its disk before it answers lets many share one
  /// wait; one that answers from its memory takes them one after the other anyway, and NFS-Ganesha, where two want
  /// the same two directories, sleeps for a whole second (`mdcache_src_dest_lock`).
  func eachChange<Item, Value>(_ items: [Item], _ start: (Item, @escaping (Value) -> Void) -> Void)
    throws(TierError) -> [Value]
  {
    let begin = clock.monotonic
    let first: [Value] = try each(items.prefix(Self.probes), inFlight: 1, start)
    guard items.count > first.count else { return first }
    let latency = (clock.monotonic - begin) / first.count
    let together = latency < .milliseconds(2) ? 1 : Self.changesInFlight
    return first + (try each(items.dropFirst(first.count), inFlight: together, start))
  }

  static var callsInFlight: Int { 64 }
  private static var changesInFlight: Int { 16 }
  private static var probes: Int { 8 }
}
