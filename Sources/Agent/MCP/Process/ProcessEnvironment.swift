/// Decides what a tool server's process finds in its environment, and which of that nobody else may see.

import Glibc

/// The environment of one process: the manifest's variables, and the few without which programs don't run.
struct ProcessEnvironment: Sendable {
    /// Taken from this process where the manifest doesn't set them: what says where programs and files are, and in which language to
    /// speak. All else that stands here, keys of models among it, is no tool's business.
    static let inherited = [
        "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
    ]
    /// Words in the names of variables that hold secrets.
    private static let secretWords = ["AUTH", "CREDENTIAL", "KEY", "PASS", "SECRET", "TOKEN"]

    /// `NAME=value`, in order of the names.
    let entries: [String]
    /// Values that neither models nor clients are shown: those whose name says that they are secret. The others are what tools work on,
    /// such as a folder's path, and stand in their answers.
    let secrets: HiddenValues
    /// Values that no log may hold: all that the manifest gives.
    let values: HiddenValues

    /// - Parameters:
    ///   - variables: the manifest's.
    ///   - own: answers a variable of this process.
    ///   - redact: cuts more out of what is logged of the process's texts and told of its errors.
    init(
        _ variables: [String: String],
        own: (String) -> String? = { getenv($0).map { String(cString: $0) } },
        redact: @escaping @Sendable (String) -> String = { $0 }
    ) {
        var all = variables
        for name in Self.inherited where all[name] == nil { all[name] = own(name) }
        entries = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let given = variables.map { (name: $0.key, value: $0.value) }
        values = HiddenValues(headers: given, redact: redact)
        secrets = HiddenValues(
            headers: given.filter { variable in
                let name = variable.name.uppercased()
                return Self.secretWords.contains { name.contains($0) }
            }, redact: redact)
    }
}
