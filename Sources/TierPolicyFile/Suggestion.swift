/// The known word that was probably meant, nil where none is near.
func suggestion(for word: String, among known: some Sequence<String>) -> String? {
  let wanted = folded(word)
  let nearest = known.map { ($0, distance(wanted, folded($0))) }.min { ($0.1, $0.0) < ($1.1, $1.0) }
  guard let (candidate, distance) = nearest, distance <= max(1, wanted.count / 3) else { return nil }
  return candidate
}

/// `; did you mean "archive"?`, or what there is.
func wayOut(for word: String, among known: [String], called kind: String) -> String {
  if let candidate = suggestion(for: word, among: known) { return "; did you mean \"\(candidate)\"?" }
  return known.isEmpty ? "" : " (\(kind): \(known.joined(separator: ", ")))"
}

/// `keep_below` and `KeepBelow` are `keepBelow` misspelt.
private func folded(_ word: String) -> [Character] {
  word.lowercased().filter { $0 != "_" && $0 != "-" }.prefix(64).map { $0 }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
private func distance(_ left: [Character], _ right: [Character]) -> Int {
  guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
  var rows = [Array(0...right.count)]
  for i in 1...left.count {
    var row = [i] + Array(repeating: 0, count: right.count)
    for j in 1...right.count {
      row[j] = min(
        rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1))
      if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
        row[j] = min(row[j], rows[i - 2][j - 2] + 1)
      }
    }
    rows.append(row)
  }
  return rows[left.count][right.count]
}
