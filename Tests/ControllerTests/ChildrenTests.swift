// Every object of a pool, for a table of specifications and for what each rule of the design says of it.
import Kubernetes
import PoolAPI
import Testing

@testable import Controller

@Suite struct ChildrenTests {
    @Test("The objects of each pool of the table are the golden ones", arguments: PoolFixtures.names)
    func golden(name: String) throws {
        let context = try PoolFixtures.context(name)
        let children = try Children.desired(context)
        let notes = Children.limitations(context).map { "# \($0.reason): \($0.message)\n" }.joined()
        try PoolFixtures.expect(
            notes + children.yaml(), equals: "Tests/Golden/children/\(name).yaml")
        #expect(try Children.desired(context) == children)
    }

    @Test("The table has its pools")
    func table() {
        #expect(PoolFixtures.names.count >= 10)
    }

    @Test("The example has every object that the design names, in the order of their apply")
    func example() throws {
        let context = try PoolFixtures.context(
            yaml: PoolFixtures.text("examples/support.yaml"), ClusterFeatures(hasKEDA: true))
        let children = try Children.desired(context)
        try PoolFixtures.expect(children.yaml(), equals: "Tests/Golden/children/support.yaml")
        #expect(
            children.map(\.kind.kind) == [
                "ServiceAccount", "ConfigMap", "Service", "Service", "NetworkPolicy", "PodDisruptionBudget",
                "Deployment", "ScaledObject", "Ingress",
            ])
        #expect(
            children.map(\.name) == ["support"] + [children[1].name] + ["support", "support-admin"]
                + Array(repeating: "support", count: 5))
        #expect(children[1].name.wholeMatch(of: /support-config-[0-9a-f]{8}/) != nil)
    }

    @Test("No manifest holds a null, and each names its pool and carries the labels of all")
    func form() throws {
        for name in PoolFixtures.names {
            for child in try Children.desired(PoolFixtures.context(name)) {
                #expect(child.manifest == child.manifest.withoutNulls())
                #expect(child.manifest["apiVersion"] == .string(child.kind.apiVersion))
                #expect(child.manifest["kind"] == .string(child.kind.kind))
                let metadata = try #require(child.manifest["metadata"])
                #expect(metadata["name"] == .string(child.name))
                #expect(child.name.hasPrefix(try #require(name.split(separator: "-").first)))
                #expect(metadata.at("labels")?["app.kubernetes.io/managed-by"] == "agentpool")
            }
        }
    }

    @Test("Each object is owned by the pool where the pool is in a cluster")
    func owner() throws {
        var context = try PoolFixtures.context("minimal")
        context.uid = "3b7f"
        for child in try Children.desired(context) {
            #expect(
                child.manifest.at("metadata.ownerReferences") == [
                    [
                        "apiVersion": "agentpool.dev/v1alpha1", "kind": "AgentPool", "name": "minimal",
                        "uid": "3b7f", "controller": true, "blockOwnerDeletion": true,
                    ]
                ])
        }
    }

    @Test("A volume outlives its pool unless the pool's memory is to go with it")
    func retainedVolume() throws {
        for (policy, isOwned) in [("Retain", false), ("Delete", true)] {
            var context = try PoolFixtures.context(
                spec: "memory: {embedded: {storage: 1Gi}, reclaimPolicy: \(policy)}")
            context.uid = "3b7f"
            let volume = try Children.desired(context).first(.persistentVolumeClaims)
            #expect((volume.at("metadata.ownerReferences") != nil) == isOwned)
        }
    }

    @Test("The grace period has room for the delay, the longest turn and the flush")
    func gracePeriod() throws {
        let cases = [
            ("", 645), ("drain: {delay: 0s, timeout: 20m}", 1230),
            ("concurrency: {turnTimeout: 1500ms}\ndrain: {delay: 500ms}", 33),
        ]
        for (spec, seconds) in cases {
            let deployment = try Children.desired(PoolFixtures.context(spec: spec)).first(.deployments)
            #expect(
                deployment.at("spec.template.spec.terminationGracePeriodSeconds") == .integer(seconds))
        }
    }

    @Test("Memory follows the sessions' limit")
    func memory() throws {
        for (limit, memory) in [("512Mi", "1Gi"), ("1Mi", "448Mi"), ("4Gi", "5504Mi")] {
            let deployment = try Children.desired(
                PoolFixtures.context(spec: "memory: {session: {maxBytes: \(limit)}}")
            ).first(.deployments)
            let resources = deployment.at("spec.template.spec.containers.0.resources")
            #expect(resources?.at("limits.memory") == .string(memory))
            #expect(resources?.at("requests.memory") == .string(memory))
        }
    }

    @Test("The number of pods is the autoscaler's where there is one, and only one autoscaler is there")
    func replicas() throws {
        let scaled = """
            memory: {redis: {addresses: ["r:6379"]}, milvus: {address: "http://m:1"}}
            autoscaling: {minReplicas: 2}
            """
        for hasKEDA in [true, false] {
            let children = try Children.desired(
                PoolFixtures.context(spec: scaled, ClusterFeatures(hasKEDA: hasKEDA)))
            #expect(try children.first(.deployments).at("spec.replicas") == nil)
            #expect(children.contains { $0.kind == .scaledObjects } == hasKEDA)
            #expect(children.contains { $0.kind == .horizontalPodAutoscalers } == !hasKEDA)
        }
        let plain = try Children.desired(PoolFixtures.context(spec: "", ClusterFeatures(hasKEDA: true)))
        #expect(try plain.first(.deployments).at("spec.replicas") == 1)
        #expect(!plain.contains { [.scaledObjects, .horizontalPodAutoscalers].contains($0.kind) })
    }

    @Test("Pods on Redis know their address and have a peer port, which only pods of their own pool reach")
    func peers() throws {
        let children = try Children.desired(
            PoolFixtures.context(spec: "memory: {redis: {addresses: [\"r:6379\"]}}"))
        let worker = try #require(
            try children.first(.deployments).at("spec.template.spec.containers.0"))
        #expect(
            worker.at("ports.2") == ["name": "peer", "containerPort": 9091, "protocol": "TCP"])
        #expect(
            worker.at("env")?.items.contains(
                ["name": "POD_IP", "valueFrom": ["fieldRef": ["fieldPath": "status.podIP"]]]) == true)
        let rules = try #require(try children.first(.networkPolicies).at("spec.ingress")).items
        #expect(
            rules.filter { $0.at("ports.0.port") == "peer" } == [
                [
                    "from": [["podSelector": ["matchLabels": ["agentpool.dev/pool": "one"]]]],
                    "ports": [["protocol": "TCP", "port": "peer"]],
                ]
            ])
        for service in children where service.kind == .services {
            #expect(service.manifest.at("spec.ports")?.items.map { $0["targetPort"] } != ["peer"])
            #expect(service.manifest.at("spec.ports")?.items.count == 1)
        }
    }

    @Test("A pool without Redis is one pod, and has no peer port")
    func noPeers() throws {
        let children = try Children.desired(
            PoolFixtures.context(spec: "memory: {milvus: {address: \"http://m:1\"}}"))
        let worker = try #require(
            try children.first(.deployments).at("spec.template.spec.containers.0"))
        #expect(worker.at("ports")?.items.map { $0["name"] } == ["http", "admin"])
        #expect(worker.at("env")?.items.map { $0["name"] } == ["POD_NAME", "HOME"])
        #expect(try children.first(.networkPolicies).at("spec.ingress")?.items.count == 2)
    }

    @Test("No proxy is told to send again a turn of which a worker had a part")
    func retries() throws {
        for by in ["Cookie", "Header"] {
            let ingress = "ingress: {host: a.example.com, affinity: {provider: Nginx, by: \(by)}}"
            let rules = try #require(try publicObjects(ingress).ingress.at("metadata.annotations"))
            #expect(rules["nginx.ingress.kubernetes.io/proxy-next-upstream"] == "error timeout")
            #expect(rules["nginx.ingress.kubernetes.io/proxy-next-upstream-tries"] == "3")
        }
        let own = "{nginx.ingress.kubernetes.io/proxy-next-upstream: \"off\"}"
        let changed = try publicObjects("ingress: {host: a.example.com, annotations: \(own)}").ingress
        #expect(
            changed.at("metadata.annotations")?["nginx.ingress.kubernetes.io/proxy-next-upstream"] == "off")
    }

    @Test("HAProxy's cookie stands on the Service, where each version of its controller looks for it")
    func cookieOfHAProxy() throws {
        let objects = try publicObjects("ingress: {host: a.example.com, affinity: {provider: HAProxy}}")
        #expect(
            objects.service.at("metadata.annotations") == [
                "haproxy.org/cookie-persistence": "agentpool-route"
            ])
        #expect(objects.ingress.at("metadata.annotations") == ["haproxy.org/timeout-server": "3600s"])
        let byHeader = try publicObjects(
            "ingress: {host: a.example.com, affinity: {provider: HAProxy, by: Header}}")
        #expect(byHeader.service.at("metadata.annotations") == nil)
    }

    /// What a proxy reads of a pool with this line, which is open to anybody.
    private func publicObjects(_ line: String) throws -> (service: JSONValue, ingress: JSONValue) {
        let children = try Children.desired(
            PoolFixtures.context(spec: "auth: {apiKeysSecretRef: {name: keys}}\n\(line)"))
        return (try children.first(.services), try children.first(.ingresses))
    }

    @Test("Another scale, route, image or pod leaves the configuration as it is; another agent does not")
    func configurationDigest() throws {
        func config(_ spec: String) throws -> String {
            let children = try Children.desired(PoolFixtures.context(spec: spec))
            return try #require(children.first { $0.kind == .configMaps }).name
        }
        let plain = try config("")
        #expect(try config("image: other:1\npod: {template: {spec: {priorityClassName: high}}}") == plain)
        #expect(try config("memory: {reclaimPolicy: Delete, embedded: {storage: 1Gi}}") == plain)
        #expect(try config("guard: {maxInputCharacters: 9}") != plain)
    }

    @Test("The configuration in the ConfigMap is one that a worker takes")
    func configuration() throws {
        let context = try PoolFixtures.context("cpu-only")
        let map = try Children.desired(context).first(.configMaps)
        guard case .string(let text)? = map["data"]?["worker.json"] else {
            Issue.record("there is no worker.json")
            return
        }
        let config = try WorkerConfig.decode(text)
        #expect(config.pool == context.pool.reference)
        #expect(config.spec.memory.redis == context.spec.memory.redis)
    }

    @Test("Just the Secrets that the pool names are mounted, each once, under names that volumes may have")
    func secrets() throws {
        let pod = try #require(
            try Children.desired(PoolFixtures.context("cpu-only")).first(.deployments).at(
                "spec.template.spec"))
        let volumes = try #require(pod.at("volumes")).items
        #expect(
            volumes.compactMap { $0.at("secret.secretName") } == [
                "keys", "redis-ca", "redis-client", "redis.example.com",
            ])
        for case .string(let name)? in volumes.map({ $0["name"] }) {
            #expect(name.wholeMatch(of: /[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/) != nil)
        }
        let mounts = try #require(pod.at("containers.0.volumeMounts")).items
        #expect(mounts.contains { $0["mountPath"] == "/etc/agentpool/secrets/redis.example.com" })
        #expect(Set(mounts.map { $0["name"] }) == Set(volumes.map { $0["name"] }))
    }

    @Test("The purge is a Job that no Service sends requests to, with the pool's Secrets and image")
    func purge() throws {
        let context = try PoolFixtures.context("cpu-only")
        #expect(PurgeJob.isNeeded(context.spec))
        #expect(try !PurgeJob.isNeeded(PoolFixtures.context("minimal").spec))
        #expect(
            try !PurgeJob.isNeeded(
                PoolFixtures.context(spec: "memory: {reclaimPolicy: Delete, embedded: {storage: 1Gi}}").spec))
        let job = try PurgeJob.desired(context)
        try PoolFixtures.expect([job].yaml(), equals: "Tests/Golden/children/purge.yaml")
        #expect(job.manifest.at("spec.template.metadata.labels")?[PoolNames.poolLabel] == nil)
    }

    @Test("The purge runs where the pool's pods may run, and also where their template can't be merged")
    func purgePlacement() throws {
        let job = try PurgeJob.desired(PoolFixtures.context("pod-template")).manifest
        #expect(job.at("spec.template.spec.imagePullSecrets") == [["name": "registry"]])
        #expect(job.at("spec.template.spec.tolerations") == [["key": "gpu", "operator": "Exists"]])
        #expect(job.at("spec.template.spec.nodeSelector") == ["disk": "ssd"])
        let broken = try PoolFixtures.context(spec: "pod: {template: {spec: {containers: [{image: x}]}}}")
        #expect(try PurgeJob.desired(broken).manifest.at("spec.template.spec.containers.0.name") == "purge")
    }
}
