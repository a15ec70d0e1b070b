/// Finds the name that a mistyped one was most likely meant to be.

enum NearestName {
    /// The nearest of the names by single letters changed, added, dropped or swapped; nil where none is near.
    static func of(_ word: String, among names: some Sequence<String>) -> String? {
        // No name of a manifest is longer, and the distance costs the product of both lengths.
        guard word.count <= 63 else { return nil }
        let typed = Array(word.lowercased())
        let limit = max(1, typed.count / 3)
        var best: (name: String, distance: Int)?
        for name in names {
            let distance = distance(typed, Array(name.lowercased()))
            if distance <= limit, distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    /// Optimal string alignment: Levenshtein's distance, with a swap of neighbours as one step.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var step = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    step = min(step, beforeLast[j - 1] + 1)
                }
                row.append(step)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
