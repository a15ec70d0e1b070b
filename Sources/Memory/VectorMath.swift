/// Similarity of vectors of unit length, with the processor's vector instructions.
import Foundation

enum VectorMath {
    /// The dot product of a vector and one stored as its floats' bytes: the cosine, as both have unit length. Zero
    /// where the lengths differ.
    static func dot(_ query: [Float], _ stored: Data) -> Float {
        query.withUnsafeBytes { query in stored.withUnsafeBytes { dot(query, $0) } }
    }

    /// Of floats' bytes. Zero where the lengths differ.
    static func dot(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Float {
        guard left.count == right.count else { return 0 }
        // SQLite promises no alignment, hence the unaligned loads; eight sums side by side let the compiler use
        // vector instructions, which it may not for one sum of floats.
        let count = left.count / MemoryLayout<Float>.stride
        var sums = SIMD8<Float>()
        var index = 0
        while index + 8 <= count {
            sums +=
                left.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
                * right.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
            index += 8
        }
        var sum = sums.sum()
        while index < count {
            sum +=
                left.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
                * right.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
            index += 1
        }
        return sum
    }
}
