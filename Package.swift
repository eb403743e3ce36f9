// swift-tools-version: 6.1
// Copyright 2026 the longzoo authors. Licensed under the Apache License, version 2.0: see LICENSE.
import PackageDescription

let package = Package(
  name: "longzoo",
  products: [
    .executable(name: "longzoo", targets: ["longzoo"]),
    .library(name: "LongzooStream", targets: ["Memory", "Stream"]),
    .library(name: "LongzooTraining", targets: ["Memory", "Model", "Estimator"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0")
  ],
  targets: [
    .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLZ4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "COpenBLAS", providers: [.apt(["libopenblas-dev"])]),
    .target(name: "CKernels"),

    .target(name: "Memory"),
    .target(name: "Stream", dependencies: ["Memory", "CZstd", "CLZ4"]),
    .target(name: "Model", dependencies: ["Memory", "CKernels", "COpenBLAS"]),
    .target(name: "Estimator", dependencies: ["Memory", "Model"]),
    .executableTarget(
      name: "longzoo",
      dependencies: [
        "Memory", "Stream", "Model", "Estimator",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    .target(name: "TestSupport", path: "Tests/TestSupport"),
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    .testTarget(name: "MemoryTests", dependencies: ["Memory"]),
    .testTarget(name: "StreamTests", dependencies: ["Memory", "Stream", "TestSupport", "CZstd", "CLZ4"]),
    .testTarget(name: "ModelTests", dependencies: ["Memory", "Model", "CKernels", "TestSupport"]),
    .testTarget(
      name: "EstimatorTests", dependencies: ["Memory", "Model", "Estimator", "TestSupport", "CAllocations"],
      exclude: ["allocations.json"]),
    .testTarget(name: "CLITests", dependencies: ["longzoo", "TestSupport"]),
  ]
)
