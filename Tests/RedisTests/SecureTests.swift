/// TLS and ACL users against a real server.
import Testing

@testable import Redis

extension LiveTests {
    @Suite("TLS and users", .serialized)
    struct SecureTests {
        func attempt(
            _ change: (RedisServers.Secured, inout RedisConfiguration) -> Void
        ) async throws -> RedisError? {
            let secured = try await RedisServers.shared.secured()
            return try await withClient(
                .standalone, [secured.server.address],
                { configuration in
                    configuration.tls = RedisTLS(
                        caFile: secured.ca, certificateFile: secured.certificate, keyFile: secured.key,
                        serverName: "redis.test")
                    configuration.credentials = {
                        RedisCredentials(
                            user: RedisServers.Secured.user, password: RedisServers.Secured.password)
                    }
                    configuration.commandDeadline = .seconds(2)
                    change(secured, &configuration)
                }
            ) { client in
                await failure { () async throws(RedisError) in
                    try await client.set("secured", RedisArgument(Array(repeating: 7, count: 100_000)))
                    _ = try await client.get("secured")
                }
            }
        }

        @Test("a trusted server and a known user get along")
        func succeeds() async throws {
            #expect(try await attempt { _, _ in } == nil)
        }

        @Test("the certificate is held against the server's name")
        func serverName() async throws {
            #expect(try await attempt { $1.tls?.serverName = "other.test" }?.kind == .tls)
            #expect(try await attempt { $1.tls?.serverName = nil }?.kind == .tls)
        }

        @Test("an authority that isn't trusted is refused, unless verification is off")
        func wrongAuthority() async throws {
            #expect(try await attempt { $1.tls?.caFile = $0.otherCA }?.kind == .tls)
            let off = try await attempt {
                $1.tls?.caFile = $0.otherCA
                $1.tls?.verifiesServer = false
            }
            #expect(off == nil)
        }

        @Test("a server that wants a client certificate refuses without one")
        func noClientCertificate() async throws {
            let error = try await attempt {
                $1.tls?.certificateFile = nil
                $1.tls?.keyFile = nil
            }
            #expect(error?.kind == .tls || error?.kind == .unavailable)
        }

        @Test("a wrong password, a wrong user and none at all are told as such")
        func wrongPassword() async throws {
            let wrong = try await attempt {
                $1.credentials = { RedisCredentials(user: "agent", password: "wrong") }
            }
            #expect(
                wrong?.kind == .authentication && wrong?.code == "WRONGPASS" && wrong?.mayHaveRun == false)
            let other = try await attempt {
                $1.credentials = { RedisCredentials(user: "nobody", password: "x") }
            }
            #expect(other?.kind == .authentication)
            let none = try await attempt { $1.credentials = { nil } }
            #expect(none?.kind == .authentication && none?.code == "NOAUTH")
        }

        @Test("a missing certificate file is an error, not a crash")
        func missingFile() async throws {
            let error = try await attempt { $1.tls?.caFile = "/nowhere/ca.pem" }
            #expect(error?.kind == .tls, "\(String(describing: error))")
        }
    }
}
