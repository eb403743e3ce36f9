// swift-tools-version: 6.2
// Copyright 2026 the longzoo authors. Licensed under the Apache License, version 2.0: see LICENSE.
import PackageDescription

// Modules carry the project's name, so that a package that depends on this one may have a Model or a Stream of its own; the
// folders do not.
let package = Package(
  name: "longzoo",
  products: [
    .executable(name: "longzoo", targets: ["longzoo"]),
    .library(
      name: "Longzoo",
      targets: [
        "LongzooMemory", "LongzooStream", "LongzooModel", "LongzooEstimator", "LongzooTraining",
      ]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    .systemLibrary(name: "CLongzooZstd", path: "Sources/CZstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLongzooLZ4", path: "Sources/CLZ4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(
      name: "CLongzooOpenBLAS", path: "Sources/COpenBLAS", providers: [.apt(["libopenblas-dev"])]),
    .target(name: "CLongzooKernels", path: "Sources/CKernels"),

    .target(name: "LongzooMemory", path: "Sources/Memory"),
    .target(
      name: "LongzooStream", dependencies: ["LongzooMemory", "CLongzooZstd", "CLongzooLZ4"],
      path: "Sources/Stream"),
    .target(
      name: "LongzooModel", dependencies: ["LongzooMemory", "CLongzooKernels", "CLongzooOpenBLAS"],
      path: "Sources/Model"),
    .target(
      name: "LongzooEstimator", dependencies: ["LongzooMemory", "LongzooModel"], path: "Sources/Estimator"),
    .target(
      name: "LongzooTraining",
      dependencies: ["LongzooMemory", "LongzooStream", "LongzooModel", "LongzooEstimator"],
      path: "Sources/Training"),
    .executableTarget(
      name: "longzoo",
      dependencies: [
        "LongzooMemory", "LongzooStream", "LongzooModel", "LongzooEstimator", "LongzooTraining",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Yams", package: "Yams"),
      ]),

    .target(name: "LongzooTestSupport", path: "Tests/TestSupport"),
    .target(name: "CLongzooAllocations", path: "Tests/CAllocations"),
    .testTarget(name: "MemoryTests", dependencies: ["LongzooMemory"]),
    .testTarget(
      name: "StreamTests",
      dependencies: [
        "LongzooMemory", "LongzooStream", "LongzooTestSupport", "CLongzooZstd", "CLongzooLZ4",
      ]),
    .testTarget(
      name: "ModelTests",
      dependencies: ["LongzooMemory", "LongzooModel", "CLongzooKernels", "LongzooTestSupport"]),
    .testTarget(
      name: "EstimatorTests",
      dependencies: [
        "LongzooMemory", "LongzooModel", "LongzooEstimator", "LongzooTestSupport", "CLongzooAllocations",
      ],
      exclude: ["allocations.json"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: ["LongzooMemory", "LongzooStream", "LongzooModel", "LongzooEstimator", "LongzooTraining"]),
    .testTarget(
      name: "CLITests",
      dependencies: [
        "longzoo", "LongzooMemory", "LongzooStream", "LongzooModel", "LongzooEstimator", "LongzooTraining",
        "LongzooTestSupport",
      ]),
  ]
)
