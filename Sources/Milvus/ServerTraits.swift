/// What a server can do, told by the version it reports: some of it can't be tried, because trying does harm.
struct ServerTraits: Equatable {
    /// The server makes BM25 vectors of text.
    ///
    /// Milvus has it since 2.5. 2.3.5 accepts a schema with it, refuses the index, and then dies of loading the collection,
    /// so it must never be offered one.
    let searchesText: Bool
    /// milvus-lite forgets descriptions. Collections of other servers get no property of ours, as those check properties.
    let keepsDescription: Bool

    /// - Parameter version: like `v2.5.4`, `2.6.0-rc1`, `v2.3.5-lite` (which is the genuine server) or `milvus_lite-3.2.2`.
    init(version: String) {
        let lite = "milvus_lite"
        if version.hasPrefix(lite) {
            // The re-implementation, version 3 and later.
            searchesText = true
            keepsDescription = false
            return
        }
        let numbers = version.drop { !$0.isNumber }.split(separator: ".", maxSplits: 2).prefix(2).map {
            Int($0.prefix { $0.isNumber }) ?? 0
        }
        searchesText = numbers.count == 2 && (numbers[0], numbers[1]) >= (2, 5)
        keepsDescription = true
    }
}
