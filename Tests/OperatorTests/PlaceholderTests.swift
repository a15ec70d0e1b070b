import Testing

@testable import ClusterSupport

@Test func placeholder() {}
