// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
]

// Dependencies point down (docs/architecture.md): executables, composition, engine, adapters, core.
let package = Package(
  name: "tierd",
  dependencies: [],
  targets: [
    .target(name: "TierCore", swiftSettings: strict),
    .testTarget(name: "TierCoreTests", dependencies: ["TierCore"], swiftSettings: strict),
  ]
)
