/// The annotations by which proxies are told to keep a session on its pod and to let its stream run.
import PoolAPI

/// Each provider is one proxy's own controller: ingress-nginx (kubernetes/ingress-nginx), Traefik, and HAProxy Technologies'
/// kubernetes-ingress. Others with similar names read other annotations.
enum ProxyRules {
    /// Seconds that a stream may be silent; workers send a comment more often.
    private static let idleSeconds = 3600
    /// More than a worker takes, whose own refusal says what to do.
    private static let bodySize = "8m"

    static func ingressAnnotations(_ ingress: AgentPoolSpec.Ingress) -> [String: String] {
        switch ingress.affinity.provider {
        case .nginx: nginx(ingress)
        case .haproxy: haproxy(ingress.affinity)
        case .traefik, .none: [:]
        }
    }

    /// Traefik reads its rules on the Service, and HAProxy's controller that of its cookie: its newer versions pass over an Ingress's.
    static func serviceAnnotations(_ ingress: AgentPoolSpec.Ingress) -> [String: String] {
        guard ingress.affinity.by == .cookie else { return [:] }
        switch ingress.affinity.provider {
        case .haproxy: return prefixed("haproxy.org", ["cookie-persistence": PoolNames.routeCookie])
        case .nginx, .none: return [:]
        case .traefik: break
        }
        let prefix = "traefik.ingress.kubernetes.io/service.sticky.cookie"
        return [
            prefix: "true", "\(prefix).name": PoolNames.routeCookie, "\(prefix).httponly": "true",
            "\(prefix).samesite": "lax", "\(prefix).secure": String(ingress.tlsSecretName != nil),
            "\(prefix).maxage": String(ingress.affinity.maxAge.seconds),
        ]
    }

    private static func nginx(_ ingress: AgentPoolSpec.Ingress) -> [String: String] {
        var rules = [
            "proxy-buffering": "off", "proxy-read-timeout": String(idleSeconds),
            "proxy-send-timeout": String(idleSeconds), "proxy-body-size": bodySize,
            // A turn goes to another pod only where none of it was sent to the first. `http_503` with `non_idempotent` would send it
            // again after a commit that failed, and `error` with it after a pod that died amid the turn; without `error` nothing
            // would take a dead pod's place.
            "proxy-next-upstream": "error timeout", "proxy-next-upstream-tries": "3",
        ]
        switch ingress.affinity.by {
        case .cookie:
            let age = String(ingress.affinity.maxAge.seconds)
            rules["affinity"] = "cookie"
            // The balanced mode moves sessions whenever a pod comes.
            rules["affinity-mode"] = "persistent"
            rules["session-cookie-name"] = PoolNames.routeCookie
            rules["session-cookie-path"] = "/"
            rules["session-cookie-max-age"] = age
            rules["session-cookie-expires"] = age
            rules["session-cookie-samesite"] = "Lax"
            rules["session-cookie-secure"] = String(ingress.tlsSecretName != nil)
            rules["session-cookie-change-on-failure"] = "true"
        case .header:
            rules["upstream-hash-by"] = "$http_x_session_id"
        }
        return prefixed("nginx.ingress.kubernetes.io", rules)
    }

    private static func haproxy(_ affinity: AgentPoolSpec.Ingress.Affinity) -> [String: String] {
        var rules = ["timeout-server": "\(idleSeconds)s"]
        if affinity.by == .header { rules["load-balance"] = "hdr(\(PoolNames.sessionHeader))" }
        return prefixed("haproxy.org", rules)
    }

    private static func prefixed(_ prefix: String, _ rules: [String: String]) -> [String: String] {
        Dictionary(uniqueKeysWithValues: rules.map { ("\(prefix)/\($0.key)", $0.value) })
    }
}
