/// What is said where a file is of a known format, and what to do about it.
struct FormatRefusal {
  let format: KnownFormat
  /// The path, or "standard input".
  let name: String
  let isPipe: Bool
  /// What the file was packed with around the format.
  let outer: Codec?

  var error: StreamError {
    let inside = outer.map { " inside of \($0.rawValue)" } ?? ""
    return StreamError(
      .badData, "is \(title)\(inside), which is no stream of tokens",
      advice: "\(remedy); or say --format raw if its very bytes are meant", file: name)
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

  private var remedy: String {
    switch format {
    case .packed(_, let tool): unpacking(tool)
    case .numpy: "write the ids with numpy, as in \(written("np.load('\(source)')"))"
    case .numpyArchive: "write the ids with numpy, as in \(written("np.load('\(source)')['NAME']"))"
    case .pytorch: "write the ids with PyTorch, as in \(written("torch.load('\(source)').numpy()"))"
    case .pickle:
      "write the ids with Python, as in \(written("np.asarray(pickle.load(open('\(source)', 'rb')))"))"
    case .hdf5: "write the ids with h5py, as in \(written("h5py.File('\(source)')['NAME'][:]"))"
    case .parquet: "write its text out, as in \(printed("pandas.read_parquet('\(source)')['text']"))"
    case .arrowFile: "write its text out, as in \(printed("pandas.read_feather('\(source)')['text']"))"
    case .arrowStream:
      "write its text out, as in \(printed("datasets.Dataset.from_file('\(source)')['text']"))"
    case .avro: "write its text out as a file of bytes"
    case .sqlite: "write its text out, as in sqlite3 \(source) 'select COLUMN from TABLE' | longzoo train -"
    case .pdf: "write its text out, as in pdftotext \(source) - | longzoo train -"
    case .weights: "weights are given to --init or as the CHECKPOINT of eval, and data here"
    case .llmc(let version): cut(version == 7 ? .u32 : .u16)
    case .llmcOther: "give a token file"
    case .tokenIndex(let code): "give the .bin file next to it" + Self.reading(code)
    case .zstdDictionary: "give the data, packed without a dictionary"
    }
  }

  private var source: String { isPipe ? "FILE" : name }

  private func unpacking(_ tool: String) -> String {
    let start = outer.map { "\($0 == .zstd ? "zstd" : "lz4") -dc \(source) | \(tool)" }
    guard !isPipe else { return "unpack it in the pipe, as in … | \(tool) | longzoo train -" }
    return "unpack it, as in \(start ?? "\(tool) \(name)") | longzoo train -"
  }

  private func written(_ array: String) -> String {
    "\(array).astype('<u2').tofile('ids.bin'), and train on ids.bin with --dtype u16 --vocab-size N ('<u4' and u32 for ids from 65536 on)"
  }

  private func printed(_ column: String) -> String {
    let module = column.prefix { $0 != "." }
    return "python3 -c \"import \(module); print(*\(column), sep='\\n')\" | longzoo train -"
  }

  private func cut(_ type: TokenType) -> String {
    isPipe
      ? "leave the header out, as in … | tail -c +1025 | longzoo train - --dtype \(type.rawValue) --vocab-size N"
      : "cut the header off, as in tail -c +1025 \(name) > ids.bin, and train on ids.bin with --dtype \(type.rawValue) --vocab-size N"
  }

  private static func reading(_ code: Int) -> String {
    switch code {
    case 1: ", whose ids are bytes (--dtype u8)"
    case 4: " with --dtype u32 --vocab-size N"
    case 8: " with --dtype u16 --vocab-size N"
    case 5: ", with its 64-bit ids written as '<u4' by numpy and read with --dtype u32 --vocab-size N"
    default: " with its --dtype and --vocab-size"
    }
  }
}
