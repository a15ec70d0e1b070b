/// The day of a time as people write it, which "what did I say on 7 May?" is found by.

enum DayInWords {
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ]

    /// Such as "7 May 2023", in UTC; empty where the time is not known.
    ///
    /// - Parameter time: milliseconds since 1970.
    static func text(_ time: Int64) -> String {
        guard time > 0 else { return "" }
        // Years are counted from the first of March, so that a leap day is a year's last one.
        let days = time / 86_400_000 + 719_468
        let (era, day) = (days / 146_097, days % 146_097)
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let isNextYear = month >= 10
        return """
            \(dayOfMonth) \(months[Int(isNextYear ? month - 10 : month + 2)]) \
            \(era * 400 + year + (isNextYear ? 1 : 0))
            """
    }
}
