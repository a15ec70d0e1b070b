/// Decides which skills a session has: those that were read in its turns, in the order in which they were read first.

enum ActivatedSkills {
    /// Of one session; the oldest go where there are more. A manifest names no more than these.
    static let limit = 64

    static func adding(_ names: some Sequence<String>, to skills: [String]) -> [String] {
        var skills = skills
        for name in names where !skills.contains(name) { skills.append(name) }
        skills.removeFirst(max(0, skills.count - limit))
        return skills
    }

    /// As stores keep them: names of the manifest hold no comma.
    static func text(_ skills: [String]) -> String { skills.joined(separator: ",") }

    static func read(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }
}
