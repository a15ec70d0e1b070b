/// Decides where `run` finds the folder of each skill, and writes those that the manifest's own ConfigMaps hold.
import Foundation
import Logging
import PoolAPI

struct ManifestSkills {
    /// The values of each ConfigMap of the file, by its name.
    let configMaps: [String: [String: String]]
    /// Where copies go, a folder for each skill.
    let copies: String
    /// A directory of skills' folders on this machine.
    let machine: String?

    /// By the skills' names. One that is nowhere is left out, and said.
    func folders(of spec: AgentPoolSpec, _ logger: Logger) throws -> [String: String] {
        var folders: [String: String] = [:]
        for (index, skill) in spec.skills.enumerated() {
            if let reference = skill.configMapRef, let map = configMaps[reference.name] {
                folders[skill.name] = try copy(
                    map, of: reference, to: "\(copies)/\(skill.name)",
                    field: "spec.skills[\(index)].configMapRef")
            } else if let machine {
                folders[skill.name] = "\(machine)/\(skill.name)"
            } else {
                logger.warning(
                    "a skill is left out: add its ConfigMap to the file, or name a directory with its folder by --skills",
                    metadata: ["skill": "\(skill.name)"])
            }
        }
        return folders
    }

    private func copy(
        _ map: [String: String], of reference: AgentPoolSpec.Skill.ConfigMapFiles, to folder: String,
        field: String
    ) throws -> String {
        var files: [(path: String, text: String)] = []
        for (place, item) in (reference.items ?? []).enumerated() {
            guard let text = map[item.key] else {
                throw Configuration.failure(
                    "\(field).items[\(place)].key: the ConfigMap \(reference.name) has no key \"\(item.key)\"; name one of its keys"
                )
            }
            files.append((item.path, text))
        }
        if reference.items == nil {
            for (key, text) in map {
                // What Kubernetes takes for a key; nothing of it leads out of the folder.
                guard key.wholeMatch(of: /[-._a-zA-Z0-9]+/) != nil, key != ".", !key.hasPrefix("..") else {
                    throw Configuration.failure(
                        "ConfigMap \(reference.name): the key \"\(key)\" is no file's name; use letters, digits, '-', '_' and '.'"
                    )
                }
                files.append((key, text))
            }
        }
        do {
            if FileManager.default.fileExists(atPath: folder) {
                try FileManager.default.removeItem(atPath: folder)
            }
            for file in files {
                let target = URL(filePath: "\(folder)/\(file.path)")
                try FileManager.default.createDirectory(
                    at: target.deletingLastPathComponent(), withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700])
                try Data(file.text.utf8).write(to: target)
            }
        } catch {
            throw Configuration.failure(
                "\(folder): can't be written; name a data directory that this user may write to (\(error.localizedDescription))"
            )
        }
        return folder
    }
}
