/// Merges a pool's partial pod template over the controller's, as Kubernetes' strategic merge patch does, and says where it can't.
import PoolAPI

enum PodTemplateMerge {
    /// Where a pool's own template stands in its manifest.
    private static let root = "spec.pod.template"

    /// Labels and annotations by which the controller knows the pods.
    private static let keptLabels = Set(
        [PoolNames.poolLabel, PoolNames.managedByLabel, PoolNames.purgeLabel])
    private static let keptAnnotations: Set = [PoolNames.configAnnotation]

    /// The merged template.
    /// - Throws: All problems of the partial template, each with its field and its mend.
    static func merge(
        _ own: [String: JSONValue], over template: JSONValue
    ) throws(ManifestError) -> JSONValue {
        var problems = checkFields(own)
        var merge = StrategicMerge()
        let merged = merge.merge(.object(own), over: template, at: root)
        problems += merge.problems
        if problems.isEmpty { problems = checkWorker(in: merged, of: template) }
        guard problems.isEmpty else { throw ManifestError(problems: problems) }
        return merged.withoutNulls()
    }

    private static func checkFields(_ own: [String: JSONValue]) -> [ManifestError.Problem] {
        var problems: [ManifestError.Problem] = []
        for name in own.keys.sorted() where !["metadata", "spec"].contains(name) {
            problems.append(
                .init(
                    path: "\(root).\(name)", message: "is not a field of a pod template",
                    mend: "use metadata and spec, as a Deployment's template has them"))
        }
        guard let metadata = own["metadata"] else { return problems }
        guard case .object(let members) = metadata else {
            return problems + [noObject("metadata")]
        }
        for name in members.keys.sorted() where !["labels", "annotations"].contains(name) {
            problems.append(
                .init(
                    path: "\(root).metadata.\(name)", message: "can't be set on pods",
                    mend: "use labels and annotations only"))
        }
        for (field, kept) in [("labels", keptLabels), ("annotations", keptAnnotations)] {
            guard let value = members[field] else { continue }
            guard case .object(let texts) = value else {
                problems.append(noObject("metadata.\(field)"))
                continue
            }
            for name in texts.keys.sorted() {
                if kept.contains(name) || name == StrategicMerge.directive {
                    problems.append(
                        .init(
                            path: "\(root).metadata.\(field)[\"\(name)\"]",
                            message: "is the controller's, which finds the pods by it", mend: "remove it"))
                } else if case .string? = texts[name] {
                    continue
                } else if texts[name] != .null {
                    problems.append(
                        .init(
                            path: "\(root).metadata.\(field)[\"\(name)\"]", message: "expected text",
                            mend: "put it in quotes"))
                }
            }
        }
        return problems
    }

    private static func noObject(_ field: String) -> ManifestError.Problem {
        .init(
            path: "\(root).\(field)", message: "expected an object",
            mend: "write its fields below it, or remove it")
    }

    /// What no change to the pods may take away: without it there is no worker.
    private static func checkWorker(
        in merged: JSONValue, of template: JSONValue
    ) -> [ManifestError.Problem] {
        let mend = "leave it, and change its fields"
        guard let worker = merged.worker else {
            return [
                .init(
                    path: "\(root).spec.containers",
                    message: "takes away the container \(PoolNames.workerContainer)", mend: mend)
            ]
        }
        var problems: [ManifestError.Problem] = []
        let ports = worker.portNames
        for port in template.worker?.portNames ?? [] where !ports.contains(port) {
            problems.append(
                .init(
                    path: "\(root).spec.containers", message: "takes away the worker's port \(port)",
                    mend: mend)
            )
        }
        return problems
    }
}

extension JSONValue {
    /// The container of a pod template that runs the worker.
    fileprivate var worker: JSONValue? {
        guard case .array(let containers)? = self["spec"]?["containers"] else { return nil }
        return containers.first { $0["name"] == .string(PoolNames.workerContainer) }
    }

    /// The names of a container's ports, in their order.
    fileprivate var portNames: [String] {
        guard case .array(let ports)? = self["ports"] else { return [] }
        return ports.compactMap { if case .string(let name)? = $0["name"] { name } else { nil } }
    }
}
