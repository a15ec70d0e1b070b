import Testing

@Suite("placeholder, to be replaced")
struct PlaceholderTests {}
