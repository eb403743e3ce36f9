import LongzooMemory

/// What is said where a file is of a known format, and what to do about it.
struct FormatRefusal {
  let format: KnownFormat
  /// The path, or "standard input".
  let name: String
  let isPipe: Bool
  /// What the file was packed with around the format.
  let outer: Codec?

  var error: StreamError {
    let inside = outer.map { " inside of \($0.name)" } ?? ""
    let insist: Wording = "or say \(.format) raw if its very bytes are meant"
    return StreamError(
      .badData, "is \(title)\(inside), which is no stream of tokens", remedy: remedy,
      advice: advice.map { $0 + "; " + insist } ?? insist, file: name)
  }

  private var title: String {
    switch format {
    case .packed(let name, _): name == "tar" ? "a tar archive" : "packed by \(name)"
    case .numpy: "a numpy file (.npy)"
    case .numpyArchive: "a numpy archive (.npz)"
    case .pytorch: "a PyTorch file"
    case .pickle: "a Python pickle"
    case .parquet: "a parquet file"
    case .arrowFile: "an arrow or feather file"
    case .arrowStream: "an arrow stream"
    case .hdf5: "an HDF5 file"
    case .sqlite: "an SQLite database"
    case .avro: "an avro file"
    case .pdf: "a PDF document"
    case .weights(let name): "a \(name) file of weights"
    case .llmc: "an llm.c token file with a header of 1024 bytes"
    case .llmcOther(let kind): "\(kind) of llm.c"
    case .tokenIndex: "the index of a Megatron or RWKV data set"
    case .zstdDictionary: "a zstd dictionary"
    }
  }

  /// A step after which the data can be read; nil where `advice` says what to do.
  private var remedy: Remedy? {
    switch format {
    case .packed(_, let tool): unpacking(tool)
    case .parquet: printing("pandas.read_parquet('\(source)')['text']")
    case .arrowFile: printing("pandas.read_feather('\(source)')['text']")
    case .arrowStream: printing("datasets.Dataset.from_file('\(source)')['text']")
    case .sqlite: .printText(command: "sqlite3 \(source) 'select COLUMN from TABLE'")
    case .pdf: .printText(command: "pdftotext \(source) -")
    case .weights: .useAsWeights
    case .llmc(let version):
      .cutHeader(bytes: 1024, tokenType: version == 7 ? .u32 : .u16, isPipe: isPipe)
    default: nil
    }
  }

  private var advice: Wording? {
    switch format {
    case .numpy: writing("numpy", "np.load('\(source)')")
    case .numpyArchive: writing("numpy", "np.load('\(source)')['NAME']")
    case .pytorch: writing("PyTorch", "torch.load('\(source)').numpy()")
    case .pickle: writing("Python", "np.asarray(pickle.load(open('\(source)', 'rb')))")
    case .hdf5: writing("h5py", "h5py.File('\(source)')['NAME'][:]")
    case .avro: "write its text out as a file of bytes"
    case .llmcOther: "give a token file"
    case .tokenIndex(let code): "give the .bin file next to it" + Self.reading(code)
    case .zstdDictionary: "give the data, packed without a dictionary"
    default: nil
    }
  }

  private var source: String { isPipe ? "FILE" : name }

  private func unpacking(_ tool: String) -> Remedy {
    guard !isPipe else { return .unpack(commands: [tool], isPipe: true) }
    let commands = outer.map { ["\($0.tool) \(source)", tool] }
    return .unpack(commands: commands ?? ["\(tool) \(name)"], isPipe: false)
  }

  private func printing(_ column: String) -> Remedy {
    let module = column.prefix { $0 != "." }
    return .printText(command: "python3 -c \"import \(module); print(*\(column), sep='\\n')\"")
  }

  private func writing(_ library: String, _ array: String) -> Wording {
    """
    write the ids with \(library), as in \(array).astype('<u2').tofile('ids.bin'), and train on ids.bin with \
    \(.tokenType) u16 \(.vocabularySize) N ('<u4' and u32 for ids from 65536 on)
    """
  }

  private static func reading(_ code: Int) -> Wording {
    switch code {
    case 1: ", whose ids are bytes (\(.tokenType) u8)"
    case 4: " with \(.tokenType) u32 \(.vocabularySize) N"
    case 8: " with \(.tokenType) u16 \(.vocabularySize) N"
    case 5:
      """
      , with its 64-bit ids written as '<u4' by numpy and read with \(.tokenType) u32 \(.vocabularySize) N
      """
    default: " with its \(.tokenType) and \(.vocabularySize)"
    }
  }
}
