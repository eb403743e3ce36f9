import COpenBLAS

/// Plain single-precision matrix products by OpenBLAS, always on the calling thread.
public enum GEMM {
  /// Stops OpenBLAS from starting threads of its own: the pool's threads call it side by side.
  public static func useCallingThreadOnly() {
    openblas_set_num_threads(1)
  }

  /// C[m × n] = A[m × k] · B[n × k]ᵀ (+ C if `accumulate`), row-major, with the given row strides.
  public static func timesTransposed(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    into c: UnsafeMutablePointer<Float>, ldc: Int, accumulate: Bool = false
  ) {
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(lda), b,
      blasint(ldb), accumulate ? 1 : 0, c, blasint(ldc))
  }

  /// C[m × n] = A[k × m]ᵀ · B[k × n] (+ C if `accumulate`), row-major, with the given row strides.
  public static func transposedTimes(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    into c: UnsafeMutablePointer<Float>, ldc: Int, accumulate: Bool = false
  ) {
    cblas_sgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(lda), b,
      blasint(ldb), accumulate ? 1 : 0, c, blasint(ldc))
  }

  /// C[m × n] = scale · A[m × k] · B[k × n] + keep · C, row-major, with the given row strides.
  public static func times(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    into c: UnsafeMutablePointer<Float>, ldc: Int, scale: Float = 1, keep: Float = 0
  ) {
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), scale, a, blasint(lda),
      b,
      blasint(ldb), keep, c, blasint(ldc))
  }
}
