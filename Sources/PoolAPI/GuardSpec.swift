/// The specification's guard: what a message must keep to, what is cut out of every text, and who else is asked about it.

extension AgentPoolSpec {
    /// What a message must keep to before a model sees it, and what becomes of texts that others wrote.
    public struct Guard: Codable, Sendable, Equatable {
        /// Unicode scalars of a turn's new messages, together.
        public var maxInputCharacters: Int
        public static let defaultLength = 32768
        /// Patterns (`LinearPattern`); a message that contains a match is refused.
        public var forbiddenPatterns: [String]
        public var injection: Injection
        /// Cut out of every text before it is sent on, stored or logged; the earliest match first, of equals the first rule's.
        public var redact: [Redaction]
        /// Characters of a reply that wait until more has come, so that a match is found across the pieces of a stream.
        /// Only where `redact` has rules.
        public var redactHoldBack: Int
        /// Absent: nobody is asked.
        public var moderation: Moderation?

        /// What becomes of memories, summaries and tool results that bear marks of a prompt injection.
        public struct Injection: Codable, Sendable, Equatable {
            public var onMatch: Match

            public init(onMatch: Match) {
                self.onMatch = onMatch
            }

            public enum Match: String, Codable, Sendable, CaseIterable {
                /// The model is shown it, with a warning.
                case mark = "Mark"
                /// The model is told that something was left out.
                case drop = "Drop"
            }
        }

        public struct Redaction: Codable, Sendable, Equatable {
            /// For metrics.
            public var name: String
            /// A pattern (`LinearPattern`).
            public var pattern: String
            /// Stands in the place of a match, as it is.
            public var replacement: String
        }

        /// An endpoint of OpenAI's moderations API that is asked about new messages before anything else is.
        public struct Moderation: Codable, Sendable, Equatable {
            /// The API's root, which ends in `/v1` as a rule.
            public var baseURL: String
            /// How the endpoint names it.
            public var model: String
            public var apiKeySecretRef: SecretKeyRef?
            public var deadline: DurationText
            public var onFailure: Failure
            /// The categories that count; absent, all of them.
            public var categories: [String]?
            /// The score from which on a category counts; absent, the endpoint's own verdict does.
            public var threshold: Double?

            public enum Failure: String, Codable, Sendable, CaseIterable {
                /// The turn goes on without a verdict.
                case allow = "Allow"
                /// The turn is refused; it may be sent again.
                case refuse = "Refuse"
            }

            /// The endpoint as a model's: asked in the same way.
            public var endpoint: Model {
                Model(
                    name: "guard.moderation", provider: .openai, baseURL: baseURL, model: model,
                    apiKeySecretRef: apiKeySecretRef, parameters: [:], dimensions: nil, httpVersion: .http1)
            }
        }
    }
}
