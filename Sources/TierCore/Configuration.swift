/// `tierd.yaml`, checked and with defaults filled in. Units are in the types.
package struct Configuration: Hashable, Sendable {
  /// Absolute.
  package var stateDirectory: String
  /// The control socket's absolute path.
  package var socket: String
  /// Absolute.
  package var policyDirectory: String
  package var volumes: [Volume]
  package var targets: [Target]
  /// For policies that name none. Filled in where there is only one target; nil: every policy names its own.
  package var defaultTarget: String?
  package var log: Log
  /// Read-only status over TCP; nil: off.
  package var http: HTTP?
  package var `guard`: Guard

  package struct Volume: Hashable, Sendable {
    package var name: String
    /// Absolute path of the mounted file system or folder.
    package var path: String
    /// Used fractions of the volume (0 to 1): above `high`, releasing starts; it ends at `low`.
    package var highWatermark: Double
    package var lowWatermark: Double
    /// Quiet time after the last event of a file before it is looked at.
    package var settle: Duration
    /// How often the whole volume is compared with the catalog without any doubt.
    package var rescan: Duration
    package var releases: Releases
    package var stubs: Stubs

    package init(
      name: String, path: String, highWatermark: Double = 0.85, lowWatermark: Double = 0.75,
      settle: Duration = .seconds(5), rescan: Duration = .seconds(24 * 3600), releases: Releases = .automatic,
      stubs: Stubs = .auto
    ) {
      self.name = name
      self.path = path
      self.highWatermark = highWatermark
      self.lowWatermark = lowWatermark
      self.settle = settle
      self.rescan = rescan
      self.releases = releases
      self.stubs = stubs
    }
  }

  package enum Releases: String, Hashable, Sendable, CaseIterable {
    /// By policy, watermark and hand.
    case automatic
    /// Only by `tierctl release`.
    case manual
  }

  package enum Stubs: String, Hashable, Sendable, CaseIterable {
    /// As the policies say.
    case auto
    /// Links: the guard is never used.
    case link
  }

  package struct Target: Hashable, Sendable {
    package var name: String
    package var kind: Kind
    /// Where the nodes see the target's root (autofs): stubs then link there. Nil: stubs dangle.
    package var mountPath: String?
    /// The bound on any wait for the target.
    package var timeout: Duration
    /// No second window earlier than this after a failed one; doubles up to an hour.
    package var retryAfter: Duration

    package init(
      name: String, kind: Kind, mountPath: String? = nil, timeout: Duration = .seconds(60),
      retryAfter: Duration = .seconds(60)
    ) {
      self.name = name
      self.kind = kind
      self.mountPath = mountPath
      self.timeout = timeout
      self.retryAfter = retryAfter
    }
  }

  package enum Kind: Hashable, Sendable {
    case directory(path: String)
    case nfs(NFS)
    case rsync(Rsync)
  }

  package struct NFS: Hashable, Sendable {
    package var host: String
    /// The export's path; files go below `folder` in it.
    package var export: String
    package var folder: RelativePath
    package var owner: UInt32
    package var group: UInt32
    /// 0: ask the server's portmapper at the first contact.
    package var port: UInt16

    package init(
      host: String, export: String, folder: RelativePath = .root, owner: UInt32 = 0, group: UInt32 = 0,
      port: UInt16 = 2049
    ) {
      self.host = host
      self.export = export
      self.folder = folder
      self.owner = owner
      self.group = group
      self.port = port
    }
  }

  package struct Rsync: Hashable, Sendable {
    package enum Transport: Hashable, Sendable {
      /// `secretsFile`: a file with the password alone, mode 0600.
      case daemon(port: UInt16, module: String, secretsFile: String?)
      /// `path`: absolute on the server.
      case ssh(port: UInt16, path: String, identityFile: String?, knownHostsFile: String?)
    }
    package var host: String
    package var user: String?
    package var transport: Transport
    /// Below the module or path.
    package var folder: RelativePath

    package init(host: String, user: String?, transport: Transport, folder: RelativePath = .root) {
      self.host = host
      self.user = user
      self.transport = transport
      self.folder = folder
    }
  }

  package struct Log: Hashable, Sendable {
    package enum Format: String, Hashable, Sendable, CaseIterable { case text, json }
    package enum Level: String, Hashable, Sendable, CaseIterable { case trace, debug, info, warning, error }
    package var format: Format
    package var level: Level

    package init(format: Format = .text, level: Level = .info) {
      self.format = format
      self.level = level
    }
  }

  package struct HTTP: Hashable, Sendable {
    package var host: String
    package var port: UInt16

    package init(host: String = "127.0.0.1", port: UInt16 = 9710) {
      self.host = host
      self.port = port
    }
  }

  /// The process that keeps openers of placeholders waiting.
  package struct Guard: Hashable, Sendable {
    /// Its socket's absolute path.
    package var socket: String
    /// What to start where nobody listens there; absolute. Nil: `tier-guard` in the folder of the running tierd.
    package var program: String?
    /// How long an opener may wait in all.
    package var patience: Duration
    /// How long openers wait while tierd gives no sign of life.
    package var absence: Duration

    package init(
      socket: String = "/run/tierd-guard/guard.sock", program: String? = nil,
      patience: Duration = .seconds(300), absence: Duration = .seconds(60)
    ) {
      self.socket = socket
      self.program = program
      self.patience = patience
      self.absence = absence
    }
  }

  package init(
    stateDirectory: String = "/var/lib/tierd", socket: String = "/run/tierd/tierd.sock",
    policyDirectory: String = "/etc/tierd/policies", volumes: [Volume], targets: [Target],
    defaultTarget: String? = nil, log: Log = Log(), http: HTTP? = nil, guard: Guard = Guard()
  ) {
    self.stateDirectory = stateDirectory
    self.socket = socket
    self.policyDirectory = policyDirectory
    self.volumes = volumes
    self.targets = targets
    self.defaultTarget = defaultTarget ?? (targets.count == 1 ? targets[0].name : nil)
    self.log = log
    self.http = http
    self.guard = `guard`
  }
}
