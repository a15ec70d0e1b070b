/// Compares what a mutating call answered: `#expect` can't contain such a call itself.
import Testing

func check<Value: Equatable>(
    _ actual: Value, _ expected: Value, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(actual == expected, sourceLocation: sourceLocation)
}
