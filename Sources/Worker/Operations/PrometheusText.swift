/// Writes samples in Prometheus's text format (version 0.0.4).
struct PrometheusText {
    private(set) var text = ""

    mutating func counter(_ name: String, _ help: String, _ value: Int) {
        family(name, "counter", help)
        sample(name, [], "\(value)")
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        family(name, "gauge", help)
        sample(name, [], "\(value)")
    }

    /// One sample for each value of `label`, in the order of the labels' text.
    mutating func counters(_ name: String, _ help: String, by label: String, _ values: [String: Int]) {
        samples(name, "counter", help, label, values)
    }

    /// One sample for each value of `label`, in the order of the labels' text.
    mutating func gauges(_ name: String, _ help: String, by label: String, _ values: [String: Int]) {
        samples(name, "gauge", help, label, values)
    }

    private mutating func samples(
        _ name: String, _ kind: String, _ help: String, _ label: String, _ values: [String: Int]
    ) {
        family(name, kind, help)
        for (value, count) in values.sorted(by: { $0.key < $1.key }) {
            sample(name, [(label, value)], "\(count)")
        }
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        histograms(name, help, [([], histogram)])
    }

    /// One family, a histogram for each set of labels.
    mutating func histograms(
        _ name: String, _ help: String, _ histograms: [(labels: [(String, String)], Histogram)]
    ) {
        family(name, "histogram", help)
        for (labels, histogram) in histograms {
            var running = 0
            for (bound, count) in zip(Histogram.bounds, histogram.counts) {
                running += count
                sample(name + "_bucket", labels + [("le", "\(bound)")], "\(running)")
            }
            sample(name + "_bucket", labels + [("le", "+Inf")], "\(histogram.total)")
            sample(name + "_sum", labels, "\(histogram.sum)")
            sample(name + "_count", labels, "\(histogram.total)")
        }
    }

    private mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
        }
        text += " " + value + "\n"
    }

    private static func escaped(_ value: String) -> String {
        var out = ""
        for character in value {
            switch character {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.append(character)
            }
        }
        return out
    }
}
