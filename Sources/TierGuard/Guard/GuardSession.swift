import CTierLinux
import Glibc
import TierCore
import TierLinux

/// What a connection has said so far, and what that does. Belongs to the connection's thread.
struct GuardSession {
  /// The client broke the protocol; its connection is closed, and nothing else happens.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private enum Stage {
    case new
    /// `inherited` isn't read yet: its openers are still being handed over.
    case handingOver(GuardedFileSystem, GuardTerms, root: Descriptor, known: Set<GuardToken>, inherited: Bool)
    case serving(GuardedFileSystem, root: Descriptor)
    case done
  }

  typealias Reply = (GuardMessage, Int32?) -> Void

  private let fileSystems: GuardedFileSystems
  private let surroundings: GuardSurroundings
  private var stage = Stage.new

  init(_ fileSystems: GuardedFileSystems, _ surroundings: GuardSurroundings) {
    self.fileSystems = fileSystems
    self.surroundings = surroundings
  }

  /// Once its requests may be told.
  var fileSystem: GuardedFileSystem? {
    if case .serving(let fileSystem, _) = stage { fileSystem } else { nil }
  }

  mutating func take(
    _ message: ClientMessage, _ files: [Descriptor], for link: GuardLink, reply: Reply
  ) throws(Failure) {
    switch (message, stage) {
    case (.protect(let terms, let group), .new): try protect(terms, group, files, reply)
    case (.giveBack(let request), .handingOver(let fileSystem, let terms, let root, var known, let inherited)):
      guard files.count == 1 else { throw Failure(description: "a request came back without its file") }
      known.insert(request.token)
      if inherited { try inherit(request, files[0], fileSystem) }
      stage = .handingOver(fileSystem, terms, root: root, known: known, inherited: inherited)
    case (.resume, .handingOver(let fileSystem, let terms, let root, let known, let inherited)):
      if inherited { try start(fileSystem, inherited: true) }
      serve(fileSystem, terms, root, known, link, reply)
    case (.answer(let token, let answer), .serving(let fileSystem, _)): fileSystem.answer(token, answer)
    case (.stillWorking(let token), .serving(let fileSystem, _)): fileSystem.stillWorking(token)
    case (.stubbing(let id), .serving(let fileSystem, _)):
      guard files.count == 1 else { throw Failure(description: "stubbing came without a file") }
      link.send(.ready(id, errno: fileSystem.stubbing(files[0])))
    case (.unprotect, .serving(let fileSystem, let root)):
      surroundings.forget(root)
      fileSystems.end(fileSystem, root.raw)
      stage = .done
      link.send(.unprotected)
    // What followed before the refusal was read.
    case (_, .done): break
    default: throw Failure(description: "a message came out of turn")
    }
  }

  /// The connection is over.
  mutating func end(_ link: GuardLink) {
    switch stage {
    // Its openers wait on, and are refused when their time is over.
    case .handingOver(let fileSystem, _, _, _, inherited: true): try? start(fileSystem, inherited: true)
    case .serving(let fileSystem, _): fileSystem.disconnect(link)
    default: break
    }
    stage = .done
  }

  private mutating func protect(
    _ terms: GuardTerms, _ group: GroupID?, _ files: [Descriptor], _ reply: Reply
  ) throws(Failure) {
    guard let root = files.first, files.count == (group == nil ? 1 : 2) else {
      throw Failure(description: "protect came without the volume's root")
    }
    if let other = files.dropFirst().first, !PermissionGroup.isGroup(other.raw) {
      throw Failure(description: "what was handed over is no fanotify group")
    }
    do throws(GuardRefusal) {
      let raised = try raise(root)
      let (fileSystem, inherited) = try fileSystems.find(raised, terms, group, files.dropFirst().first)
      stage = .handingOver(fileSystem, terms, root: raised, known: [], inherited: inherited)
    } catch {
      reply(.refused(error), nil)
      stage = .done
    }
  }

  private func raise(_ file: Descriptor) throws(GuardRefusal) -> Descriptor {
    do throws(SyscallError) {
      let raised = try file.raised(to: surroundings.numbers.ownLowest)
      file.close()
      return raised
    } catch {
      throw GuardRefusal(.failed, errno: error.errno)
    }
  }

  private func inherit(_ request: GuardRequest, _ file: Descriptor, _ fileSystem: GuardedFileSystem)
    throws(Failure)
  {
    guard request.number < GuardSurroundings.descriptorsMax else {
      throw Failure(description: "a request came back with number \(request.number)")
    }
    do throws(SyscallError) { try fileSystem.inherit(request, file) } catch {
      throw Failure(description: "\(error.call): \(errnoText(error.errno))")
    }
  }

  private func start(_ fileSystem: GuardedFileSystem, inherited: Bool) throws(Failure) {
    do throws(SyscallError) { try fileSystem.start(inherited: inherited) } catch {
      throw Failure(description: "\(error.call): \(errnoText(error.errno))")
    }
  }

  private mutating func serve(
    _ fileSystem: GuardedFileSystem, _ terms: GuardTerms, _ root: Descriptor, _ known: Set<GuardToken>,
    _ link: GuardLink, _ reply: Reply
  ) {
    let waiting = fileSystem.waiting(known)
    for token in known.subtracting(waiting) { link.send(.settled(token)) }
    surroundings.remember(root, terms)
    reply(.protected(fileSystem.group.mode, group: fileSystem.id), fileSystem.group.descriptor.raw)
    stage = .serving(fileSystem, root: root)
    if let replaced = fileSystem.connect(link, terms.bounds, knows: waiting) { replaced.close() }
  }
}
