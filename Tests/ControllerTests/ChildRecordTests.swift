import Kubernetes
import PoolAPI
import Testing

@testable import Controller

@Suite struct ChildRecordTests {
    private func entry(
        _ manager: String, _ operation: String = "Update", _ subresource: String = "", _ seconds: Int64
    ) -> ManagedFieldsEntry {
        ManagedFieldsEntry(
            manager: manager, operation: operation, subresource: subresource,
            time: Timestamp(seconds: 1_000_000 + seconds))
    }

    private func record(
        _ entries: [ManagedFieldsEntry], version: String = "5", generation: Int = 1, digest: UInt64 = 1
    ) -> ChildRecord {
        ChildRecord(
            .service,
            ObjectMeta(
                name: "support", uid: childUID.text, resourceVersion: version, generation: generation,
                annotations: [PoolNames.digestAnnotation: HexText.of(digest)], managedFields: entries),
            pool: "support")
    }

    @Test("Whoever wrote after us, or in the same second, makes an object suspect")
    func whoeverWroteAfter() {
        let ours = entry("agentpool", "Apply", "", 10)
        #expect(record([ours]).isAsApplied(1))
        #expect(record([ours, entry("kubectl", "Update", "", 9)]).isAsApplied(1))
        #expect(!record([ours, entry("kubectl", "Update", "", 10)]).isAsApplied(1))
        #expect(!record([ours, entry("kubectl", "Update", "", 11)]).isAsApplied(1))
        #expect(!record([entry("kubectl", "Update", "", 1)]).isAsApplied(1))
        #expect(!record([]).isAsApplied(1))
        #expect(!record([ours]).isAsApplied(2))
    }

    @Test("A status, the scale and the hand-over of replicas are not suspect")
    func statusScaleHand() {
        let ours = entry("agentpool", "Apply", "", 10)
        let others = [
            entry("kube-controller-manager", "Update", "status", 20),
            entry("keda", "Update", "scale", 21), entry("agentpool-handover", "Apply", "", 22),
        ]
        #expect(record([ours] + others).isAsApplied(1))
        #expect(record([ours] + others).hasHandover)
        #expect(!record([ours]).hasHandover)
        // The same name by another operation is somebody else.
        #expect(!record([ours, entry("agentpool", "Update", "", 20)]).isAsApplied(1))
    }

    @Test("A suspect object counts as in order once our apply has found it so, until somebody writes again")
    func suspectObjectCounts() {
        let entries = [entry("agentpool", "Apply", "", 10), entry("kubectl", "Update", "", 11)]
        var known = record(entries)
        known.verify(record(entries, version: "6"), digest: 1)
        #expect(known.isAsApplied(1))
        #expect(!known.isAsApplied(2))
        var moved = record(entries, version: "7")
        moved.verified = known.verified
        #expect(moved.isAsApplied(1), "only a status moved the version")
        var edited = record(entries, version: "7", generation: 2)
        edited.verified = known.verified
        #expect(!edited.isAsApplied(1))
        var another = record(entries + [entry("helm", "Update", "", 12)], version: "7")
        another.verified = known.verified
        #expect(!another.isAsApplied(1))
    }

    @Test("Of a kind without a generation only the very version that was verified counts")
    func kindWithoutGeneration() {
        let entries = [entry("agentpool", "Apply", "", 10), entry("kubectl", "Update", "", 11)]
        var known = record(entries, generation: 0)
        known.verify(record(entries, version: "6", generation: 0), digest: 1)
        #expect(known.isAsApplied(1), "the watch is behind the answer")
        var seen = record(entries, version: "6", generation: 0)
        seen.verified = known.verified
        #expect(seen.isAsApplied(1))
        seen.resourceVersion = "7"
        #expect(!seen.isAsApplied(1))
    }

    @Test("An answer about another object of the name verifies nothing")
    func answerAboutAnother() {
        var known = record([])
        var answer = record([], version: "9")
        answer.uid = otherUID
        known.verify(answer, digest: 1)
        #expect(known.verified == nil)
    }

    @Test("An owner counts by its name and kind")
    func ownerCountsBy() {
        func owner(_ kind: String, _ name: String, _ version: String = AgentPool.apiVersion)
            -> ChildRecord.Owner
        {
            let reference = OwnerReference(apiVersion: version, kind: kind, name: name, uid: poolUID.text)
            return ChildRecord(
                .service, ObjectMeta(name: "support", ownerReferences: [reference]), pool: "support"
            ).owner
        }
        #expect(owner("AgentPool", "support") == .pool(poolUID))
        #expect(owner("AgentPool", "support", "agentpool.dev/v1") == .pool(poolUID))
        #expect(owner("AgentPool", "other") == .other)
        #expect(owner("AgentPool", "support", "agentpool.development/v1") == .other)
        #expect(owner("Deployment", "support") == .other)
        #expect(ChildRecord(.service, ObjectMeta(name: "a"), pool: "support").owner == .none)
    }

    @Test("A uid comes back as it was, whatever it looks like")
    func uidComesBack() {
        for text in [
            "0a1b2c3d-4e5f-6789-abcd-ef0123456789", "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "00000000-0000-0000-0000-000000000001", "0A1B2C3D-4E5F-6789-ABCD-EF0123456789", "", "uid-1",
            "0a1b2c3d-4e5f-6789-abcd-ef012345678-",
        ] {
            #expect(ObjectUID(text).text == text)
        }
        #expect(MemoryLayout<ObjectUID>.size <= 17)
    }
}
