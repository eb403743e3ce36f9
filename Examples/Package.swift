// swift-tools-version: 6.2
// Copyright 2026 the longzoo authors. Licensed under the Apache License, version 2.0: see LICENSE.
import PackageDescription

// Programs that use longzoo as a library, as any other package would: `make examples` builds and runs them.
let package = Package(
  name: "Examples",
  dependencies: [.package(name: "longzoo", path: "..")],
  targets: [
    .executableTarget(name: "FromArray", dependencies: [.product(name: "Longzoo", package: "longzoo")]),
    .executableTarget(name: "FromFile", dependencies: [.product(name: "Longzoo", package: "longzoo")]),
  ]
)
