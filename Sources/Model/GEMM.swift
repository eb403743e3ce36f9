import CLongzooOpenBLAS
import Glibc
import LongzooMemory

/// Plain single-precision matrix products by OpenBLAS, always on the calling thread.
///
/// The library is loaded with the first thread pool and not with the program, so that it starts no threads of its own: the
/// pool's threads call it side by side, and where the system refuses what OpenBLAS's threads need, they spin for ever, even
/// at the end of the program.
package enum GEMM {
  private typealias Product =
    @convention(c) (
      CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, Float, UnsafePointer<Float>,
      blasint, UnsafePointer<Float>, blasint, Float, UnsafeMutablePointer<Float>, blasint
    ) -> Void

  private struct Library {
    let product: Product
    /// Takes and gives back one of the buffers that products pack their factors into; nil in builds that hide them.
    let takeBuffer: (@convention(c) (Int32) -> UnsafeMutableRawPointer?)?
    let returnBuffer: (@convention(c) (UnsafeMutableRawPointer) -> Void)?
  }

  /// Address space of such a buffer, with what aligning it takes. Only what a product needs of it is ever touched.
  private static let bufferBytes = 128 << 20 + 1 << 16

  /// What the library is built for; for products on more threads than these it makes room when they meet.
  private static let mostBuffers = 128

  private static let library = Result { () throws(SystemRefusal) in try load() }
  /// The buffers that are there already.
  private static let buffers = Locked(0)

  /// Loads the library and has it map its buffers for products on `threads` threads at once. OpenBLAS 0.3.21, where the
  /// system refuses one in the middle of a run, asks again for ever.
  /// - Throws: one sentence, where there is no library or no address space.
  static func prepare(threads: Int) throws(SystemRefusal) {
    let library = try library.get()
    try buffers.withLock { (known) throws(SystemRefusal) in
      guard threads > known else { return }
      let refusal = SystemRefusal(
        "the system refuses the address space of matrix products on \(threads) thread\(threads == 1 ? "" : "s"), \(ByteSize.formatted(bufferBytes)) each; raise its limit (ulimit -v), or take fewer \(.threads)"
      )
      // The buffers first, then some room for everything else.
      guard AddressSpace.isFree(bufferBytes, count: threads - known + 1) else { throw refusal }
      guard let take = library.takeBuffer, let giveBack = library.returnBuffer else { return }
      let taken = (0..<min(threads, mostBuffers)).map { _ in take(0) }
      for buffer in taken { if let buffer { giveBack(buffer) } }
      guard taken.allSatisfy({ $0 != nil }) else { throw refusal }
      known = threads
    }
  }

  private static func load() throws(SystemRefusal) -> Library {
    // Read while the library is loaded: by the time it can be told so, its threads are there.
    setenv("OPENBLAS_NUM_THREADS", "1", 1)
    let names = ["libopenblas.so.0", "libopenblas.so"]
    let handle = names.lazy.compactMap { dlopen($0, RTLD_NOW | RTLD_LOCAL) }.first
    guard let handle, let product = dlsym(handle, "cblas_sgemm") else {
      let reason = dlerror().map { String(cString: $0) } ?? "it has no cblas_sgemm"
      throw SystemRefusal(
        "OpenBLAS cannot be loaded (\(reason)); install libopenblas0, or raise the limit of address space (ulimit -v)"
      )
    }
    let (take, giveBack) = (dlsym(handle, "blas_memory_alloc"), dlsym(handle, "blas_memory_free"))
    return Library(
      product: unsafeBitCast(product, to: Product.self),
      takeBuffer: unsafeBitCast(take, to: (@convention(c) (Int32) -> UnsafeMutableRawPointer?)?.self),
      returnBuffer: unsafeBitCast(giveBack, to: (@convention(c) (UnsafeMutableRawPointer) -> Void)?.self))
  }

  /// A pool loads the library and throws where that fails, and nobody multiplies without a pool.
  private static let product: Product = {
    do { return try library.get().product } catch { fatalError("\(error)") }
  }()

  /// C[m × n] = A[m × k] · B[n × k]ᵀ (+ C if `accumulate`), row-major, with the given row strides.
  package static func timesTransposed(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    into c: UnsafeMutablePointer<Float>, ldc: Int, accumulate: Bool = false
  ) {
    product(
      CblasRowMajor, CblasNoTrans, CblasTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(lda), b,
      blasint(ldb), accumulate ? 1 : 0, c, blasint(ldc))
  }

  /// The longest sums that every build of OpenBLAS makes in one pass, and adds to C as they are.
  private static let onePass = 128

  /// Columns of C that are summed at a time: they stay in the cache from tile to tile.
  private static let tileColumns = 256

  /// C[m × n] = Σ_t A_t[m × k] · B_t[n × k]ᵀ, where a tile's columns of A and B begin with column t·k: each tile's product has a total of
  /// its own, and the totals are added up in the order of tiles.
  /// - Parameter room: [m × n], for totals of more terms than 128.
  package static func sumOfTiles(
    _ tiles: Int, m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>,
    ldb: Int, into c: UnsafeMutablePointer<Float>, room: UnsafeMutablePointer<Float>
  ) {
    for first in stride(from: 0, to: n, by: tileColumns) {
      let width = min(tileColumns, n - first)
      for tile in 0..<tiles {
        let isApart = k > onePass && tile > 0
        timesTransposed(
          m: m, n: width, k: k, a + tile * k, lda: lda, b + first * ldb + tile * k, ldb: ldb,
          into: (isApart ? room : c) + first, ldc: n, accumulate: !isApart && tile > 0)
        guard isApart else { continue }
        for row in 0..<m { for i in row * n + first..<row * n + first + width { c[i] += room[i] } }
      }
    }
  }

  /// C[m × n] = A[k × m]ᵀ · B[k × n] (+ C if `accumulate`), row-major, with the given row strides.
  package static func transposedTimes(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    into c: UnsafeMutablePointer<Float>, ldc: Int, accumulate: Bool = false
  ) {
    product(
      CblasRowMajor, CblasTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(lda), b,
      blasint(ldb), accumulate ? 1 : 0, c, blasint(ldc))
  }

  /// C[m × n] = scale · A[m × k] · B[k × n] + keep · C, row-major, with the given row strides.
  package static func times(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    into c: UnsafeMutablePointer<Float>, ldc: Int, scale: Float = 1, keep: Float = 0
  ) {
    product(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), scale, a, blasint(lda),
      b,
      blasint(ldb), keep, c, blasint(ldc))
  }
}
