// Writes the synthetic language of the bundled corpus to standard output, and its figures to standard error.
//
//   swiftc -O corpora/generate.swift -o generate && ./generate > zoo.txt
//
// Integers and one fixed seed only: the same bytes on every machine. README.md says what the language is.

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

let corpusBytes = 1_600_000

/// splitmix64, which also adds up the information in its choices: what an ideal model would have to pay.
struct Random {
  private var state: UInt64
  private(set) var bits = 0.0

  init(seed: UInt64) { state = seed }

  mutating func below(_ bound: Int) -> Int {
    bits += log2(Double(bound))
    return draw(bound)
  }

  mutating func chance(_ percent: Int) -> Bool {
    let hit = draw(100) < percent
    bits -= log2(Double(hit ? percent : 100 - percent) / 100)
    return hit
  }

  mutating func weighted(_ weights: [Int]) -> Int {
    let total = weights.reduce(0, +)
    var rest = draw(total)
    var index = 0
    while rest >= weights[index] {
      rest -= weights[index]
      index += 1
    }
    bits -= log2(Double(weights[index]) / Double(total))
    return index
  }

  mutating func one<T>(of list: [T]) -> T { list[below(list.count)] }

  private mutating func draw(_ bound: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((z ^ (z >> 31)).multipliedFullWidth(by: UInt64(bound)).high)
  }
}

// MARK: Words

func list(_ words: String) -> [String] { words.split(separator: " ").map(String.init) }

/// Words of one class by frequency: rank r is drawn with weight 1/(r + 2), Zipf's law.
struct WordClass {
  let words: [String]
  private let weights: [Int]

  init(_ words: [String]) {
    self.words = words
    weights = words.indices.map { 1_000_000 / ($0 + 2) }
  }

  func draw(_ random: inout Random) -> String { words[random.weighted(weights)] }
}

/// Makes words of syllables, none twice.
struct WordMaker {
  var random = Random(seed: 20_250_517)
  private var used: Set<String> = ["the", "this", "these", "some", "she", "then", "he", "we", "is", "to"]

  private static let onsets = list("t s r n l m d h k b st th p tr g v sh br")
  private static let nuclei = list("e a o i u ea ai")
  private static let codas = ["", "n", "r", "l", "s", "t", "nd", "m", "st", "rn"]
  private static let onsetWeights = onsets.indices.map { 1000 / ($0 + 5) }
  private static let nucleusWeights = [40, 26, 18, 16, 8, 4, 3]
  private static let codaWeights = [50, 14, 13, 11, 8, 8, 5, 5, 4, 3]

  private mutating func syllable(last: Bool) -> String {
    let onset = Self.onsets[random.weighted(Self.onsetWeights)]
    let nucleus = Self.nuclei[random.weighted(Self.nucleusWeights)]
    var coda = Self.codas[random.weighted(Self.codaWeights)]
    // Inside of a word most syllables are open; at its end few are.
    if last, coda.isEmpty, random.chance(70) { coda = Self.codas[random.weighted(Self.codaWeights)] }
    return onset + nucleus + coda
  }

  mutating func word(syllables: Int) -> String {
    while true {
      var text = (0..<syllables).map { syllable(last: $0 == syllables - 1) }.joined()
      // Some begin with a vowel, so that "an" has work to do.
      if syllables > 1, random.chance(15) { text = String(text.drop { !"aeiou".contains($0) }) }
      if used.insert(text).inserted { return text }
    }
  }

  /// Frequent words are short.
  mutating func words(_ count: Int) -> [String] {
    (0..<count).map { word(syllables: $0 < 4 ? 1 : $0 < 14 ? 2 : 3) }
  }

  mutating func name(ending: String) -> String {
    let text = word(syllables: 2) + ending
    return text.prefix(1).uppercased() + text.dropFirst()
  }
}

/// What is spoken of together: a paragraph stays mostly with one topic.
struct Topic {
  let nouns: WordClass
  let transitives: WordClass
  let intransitives: WordClass
  let adjectives: WordClass

  init(_ maker: inout WordMaker) {
    nouns = WordClass(maker.words(24))
    transitives = WordClass(maker.words(12))
    intransitives = WordClass(maker.words(8))
    adjectives = WordClass(maker.words(10))
  }
}

struct Person {
  let name: String
  let pronoun: String
}

func isSibilant(_ word: String) -> Bool { word.hasSuffix("s") || word.hasSuffix("sh") }
func withS(_ word: String) -> String { word + (isSibilant(word) ? "es" : "s") }
func past(_ word: String) -> String { word + (word.hasSuffix("e") ? "d" : "ed") }

// MARK: Facts

/// Something stated once that is asked for again when the text has reached `due`.
struct Fact {
  let subject: Int
  let relation: Int
  let answer: String
  let statedAt: Int
  let due: Int
}

let materials = list("copper silver wooden golden stone linen amber iron paper leather")
let objects = list("key ring bowl lamp rope coat drum knife book coin bell comb")
let animals = list("heron otter lynx raven tortoise badger ibis panther moth tapir")

// MARK: The language

struct Writer {
  var random = Random(seed: 1337)
  var out: [UInt8] = []
  private let topics: [Topic]
  private let people: [Person]
  private let places: [String]
  private let general: WordClass

  private var topic = 0
  private var isPast = false
  private var hero = 0
  private var heroNamed = false
  private var pending: [Fact] = []
  /// Answers by the octave of their distance.
  private(set) var distances = [Int](repeating: 0, count: 32)

  init() {
    var maker = WordMaker()
    topics = (0..<10).map { _ in Topic(&maker) }
    people = (0..<96).map { index in
      index % 2 == 0
        ? Person(name: maker.name(ending: "a"), pronoun: "she")
        : Person(name: maker.name(ending: "o"), pronoun: "he")
    }
    places = (0..<24).map { _ in maker.name(ending: "eth") }
    general = WordClass(maker.words(10))
    out.reserveCapacity(corpusBytes + 1000)
  }

  mutating func write() {
    while out.count < corpusBytes { paragraph() }
    out.removeSubrange(corpusBytes...)
    out[corpusBytes - 1] = 0x0a
  }

  private mutating func paragraph() {
    topic = random.weighted(topics.indices.map { 1000 / ($0 + 4) })
    isPast = random.chance(50)
    hero = random.weighted(people.indices.map { 10_000 / ($0 + 8) })
    heroNamed = false
    let sentences = 4 + random.below(6)
    for index in 0..<sentences {
      put(sentence())
      if random.chance(10) { stateFact() }
      askDueFacts()
      if index < sentences - 1 { out.append(0x20) }
    }
    out.append(0x0a)
  }

  private mutating func put(_ text: String) {
    out += Array((text.prefix(1).uppercased() + text.dropFirst()).utf8)
  }

  private mutating func sentence() -> String {
    switch random.weighted([62, 12, 14, 12]) {
    case 0: return clause() + "."
    case 1: return "when " + clause() + ", " + clause() + "."
    case 2:
      let (first, plural) = subject()
      return first + " " + predicate(plural) + " and " + predicate(plural) + "."
    default:
      let (first, plural) = subject()
      return first + " " + copula(plural) + " " + draw(\.adjectives) + "."
    }
  }

  private mutating func clause() -> String {
    let (text, plural) = subject()
    return text + " " + predicate(plural)
  }

  /// The person of the paragraph, by name at first and then by pronoun, or anything else.
  private mutating func subject() -> (text: String, plural: Bool) {
    guard random.chance(45) else { return nounPhrase(depth: 1) }
    if heroNamed && random.chance(85) { return (people[hero].pronoun, false) }
    heroNamed = true
    return (people[hero].name, false)
  }

  private mutating func predicate(_ plural: Bool) -> String {
    switch random.weighted([60, 28, 12]) {
    case 0: return verb(\.transitives, plural) + " " + nounPhrase(depth: 0).text
    case 1:
      let text = verb(\.intransitives, plural)
      if random.chance(50) { return text }
      return text + " " + random.one(of: ["near", "under", "behind", "with"]) + " "
        + nounPhrase(depth: 0).text
    default:
      let go = isPast ? "went" : plural ? "go" : "goes"
      return go + " to " + places[random.weighted(places.indices.map { 1000 / ($0 + 3) })]
    }
  }

  private mutating func verb(_ kind: KeyPath<Topic, WordClass>, _ plural: Bool) -> String {
    let word = draw(kind)
    return isPast ? past(word) : plural ? word : withS(word)
  }

  private func copula(_ plural: Bool) -> String {
    isPast ? (plural ? "were" : "was") : (plural ? "are" : "is")
  }

  private mutating func nounPhrase(depth: Int) -> (text: String, plural: Bool) {
    let plural = random.chance(35)
    let noun = draw(\.nouns)
    var rest = plural ? withS(noun) : noun
    if random.chance(35) { rest = draw(\.adjectives) + " " + rest }
    let article: String
    if plural {
      article = ["the", "some", "many", "these"][random.weighted([55, 20, 15, 10])]
    } else {
      article = ["the", "a", "this", "every"][random.weighted([55, 30, 8, 7])]
    }
    let vowel = "aeiou".contains(rest.first!)
    var text = (article == "a" && vowel ? "an" : article) + " " + rest
    if depth > 0, random.chance(12) { text += " of " + nounPhrase(depth: 0).text }
    return (text, plural)
  }

  /// A word of the paragraph's topic, or now and then of the words that go everywhere.
  private mutating func draw(_ kind: KeyPath<Topic, WordClass>) -> String {
    if kind == \.adjectives, random.chance(20) { return general.draw(&random) }
    let from = random.chance(90) ? topic : random.below(topics.count)
    return topics[from][keyPath: kind].draw(&random)
  }

  // MARK: Facts

  private mutating func stateFact() {
    var subject = 0
    var relation = 0
    repeat {
      subject = random.below(people.count)
      relation = random.below(4)
    } while pending.contains { $0.subject == subject && $0.relation == relation }
    let name = people[subject].name
    let answer: String
    out.append(0x20)
    switch relation {
    case 0:
      answer = "the \(random.one(of: materials)) \(random.one(of: objects))"
      put("\(name) keeps \(answer).")
    case 1:
      answer = "in \(random.one(of: places))"
      put("\(name) lives \(answer).")
    case 2:
      answer = "the \(random.one(of: animals))"
      put("\(name) fears \(answer).")
    default:
      answer = random.one(of: people).name
      put("\(name) serves \(answer).")
    }
    // Log-uniform: an octave from 32 to 262144 tokens, then a distance within it.
    let octave = 5 + random.below(14)
    let due = out.count + 1 << octave + random.below(1 << octave)
    pending.append(
      Fact(subject: subject, relation: relation, answer: answer, statedAt: out.count, due: due))
  }

  private mutating func askDueFacts() {
    while let index = pending.firstIndex(where: { $0.due <= out.count + 24 }) {
      let fact = pending.remove(at: index)
      let name = people[fact.subject].name
      out.append(0x20)
      switch fact.relation {
      case 0: put("what does \(name) keep? ")
      case 1: put("where does \(name) live? ")
      case 2: put("what does \(name) fear? ")
      default: put("whom does \(name) serve? ")
      }
      let distance = out.count - fact.statedAt
      distances[Int.bitWidth - 1 - distance.leadingZeroBitCount] += 1
      put(fact.answer + ".")
    }
  }
}

// MARK: Figures

func entropy(_ counts: some Sequence<Int>) -> Double {
  let total = Double(counts.reduce(0, +))
  return counts.reduce(0) { $0 - ($1 > 0 ? Double($1) / total * log2(Double($1) / total) : 0) }
}

var writer = Writer()
writer.write()
let bytes = writer.out
var unigrams = [Int](repeating: 0, count: 128)
var bigrams = [Int](repeating: 0, count: 128 * 128)
for byte in bytes { unigrams[Int(byte)] += 1 }
for (left, right) in zip(bytes, bytes.dropFirst()) { bigrams[Int(left) * 128 + Int(right)] += 1 }

func note(_ name: String, _ value: Double) {
  let thousandths = Int((value * 1000).rounded())
  let digits = String(thousandths % 1000)
  let fraction = String(repeating: "0", count: 3 - digits.count) + digits
  fputs("\(name): \(thousandths / 1000).\(fraction) bits a token\n", stderr)
}
fputs("tokens: \(bytes.count), distinct: \(unigrams.count { $0 > 0 })\n", stderr)
note("unigram entropy", entropy(unigrams))
note("entropy given the token before", entropy(bigrams) - entropy(unigrams))
note("choices of the grammar", writer.random.bits / Double(bytes.count))
for (octave, count) in writer.distances.enumerated() where count > 0 {
  fputs("answers \(1 << octave) to \(2 << octave) tokens after the fact: \(count)\n", stderr)
}
bytes.withUnsafeBufferPointer { _ = fwrite($0.baseAddress, 1, $0.count, stdout) }
