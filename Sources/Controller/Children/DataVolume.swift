/// The volume of the embedded stores, where the pool asks for one and a store is embedded.
import Kubernetes
import PoolAPI

enum DataVolume {
    /// The size asked for; nil where the stores' file goes with the pod, or where there is no such file.
    static func size(_ spec: AgentPoolSpec) -> ByteQuantity? {
        spec.memory.redis == nil || spec.memory.milvus == nil ? spec.memory.embedded.storage : nil
    }

    static func desired(_ context: PoolContext) -> Child? {
        guard let size = size(context.spec) else { return nil }
        return Child(
            .persistentVolumeClaims, PoolNames.data(context.name), of: context,
            // Without an owner it outlives the pool, and a pool of the same name finds its memory again.
            isOwned: context.spec.memory.reclaimPolicy == .delete,
            [
                "spec": [
                    "accessModes": ["ReadWriteOnce"],
                    "resources": ["requests": ["storage": .string(size.text)]],
                ]
            ])
    }
}
