// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
]

// Dependencies point down (docs/architecture.md): executables, composition, engine, adapters, core.
let package = Package(
  name: "tierd",
  products: [.library(name: "LaterClock", type: .dynamic, targets: ["LaterClock"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    .target(name: "TierCore", swiftSettings: strict),
    .systemLibrary(name: "CLibYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .target(name: "TierPolicyFile", dependencies: ["TierCore", "CLibYAML"], swiftSettings: strict),
    .testTarget(
      name: "TierPolicyFileTests", dependencies: ["TierPolicyFile", "TierTestSupport"], exclude: ["Bad"],
      swiftSettings: strict),
    .target(name: "TierAPI", dependencies: ["TierCore"], swiftSettings: strict),
    .target(
      name: "TierServer",
      dependencies: [
        "TierAPI", "TierCore", "TierLinux", "CTierLinux",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ], swiftSettings: strict),
    .target(name: "TierClient", dependencies: ["TierAPI", "TierCore", "CTierLinux"], swiftSettings: strict),
    .target(name: "CTierLinux"),
    .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(
      name: "TierLinux", dependencies: ["TierCore", "CTierLinux", "CLibCrypto"], swiftSettings: strict),
    .target(
      name: "TierGuard", dependencies: ["TierCore", "TierLinux", "CTierLinux"], swiftSettings: strict),
    .executableTarget(
      name: "tier-guard", dependencies: ["TierGuard", "TierCore", "TierLinux", "CTierLinux"],
      swiftSettings: strict),
    .systemLibrary(name: "CLibNFS", pkgConfig: "libnfs", providers: [.apt(["libnfs-dev"])]),
    .target(
      name: "TierTargets", dependencies: ["TierCore", "TierLinux", "CTierLinux", "CLibNFS"],
      swiftSettings: strict),
    .target(
      name: "TierTestSupport", dependencies: ["TierCore", "TierLinux"], path: "Tests/TierTestSupport",
      swiftSettings: strict),
    .testTarget(name: "TierTestSupportTests", dependencies: ["TierTestSupport"], swiftSettings: strict),
    .target(
      name: "TierCatalog",
      dependencies: [
        "TierCore", .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "catalog-crash-writer", dependencies: ["TierCatalog", "TierCore"],
      path: "Tests/CatalogCrashWriter", swiftSettings: strict),
    .testTarget(
      name: "TierCatalogTests", dependencies: ["TierCatalog", "TierTestSupport", "catalog-crash-writer"],
      swiftSettings: strict),
    .target(
      name: "TierEngine",
      dependencies: [
        "CTierLinux", "TierCore", "TierGuard", "TierLinux", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .target(
      name: "TierObserve", dependencies: ["TierCore", .product(name: "Logging", package: "swift-log")],
      swiftSettings: strict),
    .target(
      name: "TierDaemon",
      dependencies: [
        "TierCatalog", "TierEngine", "TierGuard", "TierLinux", "TierObserve", "TierPolicyFile", "TierServer",
        "TierTargets",
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "tierd",
      dependencies: [
        "TierDaemon", "TierObserve", "TierPolicyFile",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .target(
      name: "TierGuardSupport",
      dependencies: ["TierGuard", "TierCore", "TierLinux", "CTierLinux", "TierTestSupport"],
      path: "Tests/TierGuardSupport", swiftSettings: strict),
    .executableTarget(
      name: "guard-test-client",
      dependencies: ["TierGuard", "TierGuardSupport", "TierLinux", "TierTestSupport"],
      path: "Tests/GuardTestClient", swiftSettings: strict),
    .testTarget(
      name: "TierGuardTests",
      dependencies: [
        "TierGuard", "TierGuardSupport", "TierCore", "TierLinux", "CTierLinux", "TierTestSupport",
        "tier-guard",
        "guard-test-client",
      ], swiftSettings: strict),
    .target(name: "LaterClock", path: "Tests/LaterClock"),
    .testTarget(
      name: "TierdTests",
      dependencies: [
        "tierd", "tierctl", "TierAPI", "TierCore", "TierLinux", "TierTestSupport", "TierGuardSupport",
        "tier-guard", "guard-test-client",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TierEngineTests",
      dependencies: [
        "TierEngine", "TierCatalog", "TierGuard", "TierGuardSupport", "TierTargets", "TierTestSupport",
        "CTierLinux", "tier-guard", "guard-test-client",
      ], swiftSettings: strict),
    .testTarget(
      name: "TierCoreTests", dependencies: ["TierCore", "TierTestSupport"], exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(
      name: "TierTargetsTests", dependencies: ["TierTargets", "TierTestSupport"], swiftSettings: strict),
    .executableTarget(
      name: "tier-bench",
      dependencies: [
        "CTierLinux", "TierCatalog", "TierCore", "TierEngine", "TierGuard", "TierGuardSupport", "TierLinux",
        "TierTargets", "TierTestSupport",
      ],
      path: "Benchmarks/TierBench", swiftSettings: strict),
    .testTarget(
      name: "TierLinuxTests", dependencies: ["TierLinux", "TierTestSupport"], swiftSettings: strict),
    .target(
      name: "TierConsole", dependencies: ["TierAPI", "TierClient", "TierCore"], swiftSettings: strict),
    .executableTarget(
      name: "tierctl",
      dependencies: [
        "TierAPI", "TierClient", "TierConsole", "TierCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .target(
      name: "TierControlSupport",
      dependencies: [
        "TierAPI", "TierCore", "TierLinux", "TierServer",
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ], path: "Tests/TierControlSupport", swiftSettings: strict),
    .testTarget(
      name: "TierServerTests",
      dependencies: ["TierServer", "TierClient", "TierControlSupport", "TierTestSupport"],
      exclude: ["Snapshots"], swiftSettings: strict),
    .testTarget(
      name: "TierConsoleTests", dependencies: ["TierConsole", "TierControlSupport", "TierTestSupport"],
      exclude: ["Snapshots"], swiftSettings: strict),
    .testTarget(
      name: "TierctlTests",
      dependencies: [
        "tierctl", "TierConsole", "TierControlSupport", "TierTestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .testTarget(
      name: "TierClientTests", dependencies: ["TierClient", "TierTestSupport"], swiftSettings: strict),
  ]
)
