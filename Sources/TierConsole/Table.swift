/// Columns of text, aligned, two blanks between them, no trailing blanks.
package struct Table: Sendable {
  package enum Alignment: Sendable { case left, right }

  package struct Column: Sendable {
    package var title: String
    package var alignment: Alignment
    /// Kept even where no cell needs it, so that the pages of a long list line up.
    package var widthMin: Int

    package init(_ title: String, _ alignment: Alignment = .left, widthMin: Int = 0) {
      self.title = title
      self.alignment = alignment
      self.widthMin = widthMin
    }
  }

  package struct Cell: Sendable, ExpressibleByStringInterpolation {
    package var text: String
    package var color: TextStyle.Color?

    package init(_ text: String, _ color: TextStyle.Color? = nil) {
      self.text = text
      self.color = color
    }

    package init(stringLiteral text: String) { self.init(text) }
  }

  private let columns: [Column]
  private var rows: [[Cell]] = []

  package init(_ columns: [Column]) { self.columns = columns }

  package mutating func add(_ cells: [Cell]) {
    precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
    rows.append(cells)
  }

  /// `hasHead` is false for the pages behind a list's first.
  package func text(_ style: TextStyle, hasHead: Bool = true) -> String {
    let widths = columns.indices.map { index in
      rows.reduce(max(columns[index].widthMin, columns[index].title.displayWidth)) {
        max($0, style.printable($1[index].text).displayWidth)
      }
    }
    let head = hasHead ? [columns.map { Cell($0.title, .faint) }] : []
    return (head + rows).map { cells in
      var line = ""
      for (index, cell) in cells.enumerated() {
        let text = style.printable(cell.text)
        let padding = String(repeating: " ", count: max(0, widths[index] - text.displayWidth))
        let isLast = cells[(index + 1)...].allSatisfy { $0.text.isEmpty }
        let painted = style.paint(text, cell.color)
        line += columns[index].alignment == .right ? padding + painted : painted + (isLast ? "" : padding)
        if isLast { break }
        line += "  "
      }
      return line + "\n"
    }.joined()
  }
}
