/// The word lists of the rules that read text without a model. English and Chinese; other languages fall
/// through to the safe side.
enum Vocabulary {
    /// Words that say nothing about what a text is about. The last line is what apostrophes leave over.
    static let stopWords: Set<String> = [
        "a", "an", "the", "and", "or", "but", "if", "then", "so", "as", "of", "at", "by", "for", "with",
        "about", "to",
        "from", "in", "on", "off", "over", "under", "into", "than", "too", "very", "just", "also", "only",
        "not", "no",
        "i", "me", "my", "mine", "you", "your", "yours", "he", "him", "his", "she", "her", "hers", "it",
        "its", "we",
        "us", "our", "ours", "they", "them", "their", "this", "that", "these", "those", "there", "here",
        "some", "any",
        "all", "be", "am", "is", "are", "was", "were", "been", "being", "do", "does", "did", "doing", "have",
        "has",
        "had", "having", "can", "could", "will", "would", "shall", "should", "may", "might", "must", "what",
        "which",
        "who", "whom", "whose", "when", "where", "why", "how", "please", "tell", "told", "remind", "remember",
        "know",
        "say", "said", "show", "give", "again", "now", "let", "get", "got",
        "s", "t", "m", "re", "ll", "ve", "d", "don", "doesn", "didn", "isn", "wasn", "aren", "won", "can",
    ]

    /// Words that a message without any wish of its own is made of: greetings, thanks, assent, farewells.
    static let smallTalkWords: Set<String> = [
        "hi", "hello", "hey", "hiya", "howdy", "yo", "greetings", "good", "morning", "afternoon", "evening",
        "night",
        "thanks", "thank", "thx", "ty", "cheers", "much", "many", "lot", "lots", "appreciated", "welcome",
        "ok", "okay", "k", "kk", "yes", "yeah", "yep", "yup", "no", "nope", "nah", "sure", "fine", "great",
        "cool",
        "nice", "perfect", "awesome", "excellent", "right", "alright", "correct", "exactly", "understood",
        "noted",
        "bye", "goodbye", "ciao", "later", "sorry", "please", "lol", "haha", "hm", "hmm", "oh", "ah", "wow",
        "well",
        "you", "very", "so", "a", "it", "that", "is", "got", "all", "and", "the", "there", "again", "too",
        "s",
    ]

    /// Of the words above, those that need company: alone, or only among themselves, they may ask for
    /// something.
    static let smallTalkFillers: Set<String> = [
        "you", "very", "so", "a", "it", "that", "is", "all", "and", "the", "there", "again", "too", "s",
    ]

    /// Phrases that a Chinese message without any wish of its own is made of.
    static let smallTalkIdeographs: [String] = [
        "你好", "您好", "你们好", "大家好", "早上好", "上午好", "中午好", "下午好", "晚上好", "早安", "晚安", "嗨", "哈喽", "谢谢",
        "多谢", "感谢", "非常感谢", "谢了", "辛苦了", "好的", "好", "好吧", "好啊", "行", "可以", "没问题", "没事", "嗯", "嗯嗯", "哦",
        "噢", "是的", "是", "对", "对的", "不是", "不", "没有", "明白", "明白了", "知道了", "了解", "收到", "懂了", "再见", "拜拜", "回头见",
        "哈哈", "不客气", "抱歉", "对不起", "太好了", "很好", "真棒", "你", "您", "了", "啊", "吧", "呀", "哈",
    ]

    /// Characters of Chinese grammar: a pair that holds one says nothing about a text's subject.
    static let functionIdeographs: Set<Unicode.Scalar> = Set(
        "的了是我你您他她它们在和与或就都也很不吗呢吧啊呀么什怎哪谁几这那有把被给对从到为以及请问告诉没个上下里要会能可还又再".unicodeScalars)

    /// Words that open a question or a request in English.
    static let questionOpeners: Set<String> = [
        "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "is", "are", "was", "were",
        "do", "does",
        "did", "can", "could", "will", "would", "should", "have", "has", "tell", "remind", "show", "give",
        "list", "find",
        "recall", "repeat", "summarize", "summarise", "describe", "explain",
    ]

    /// What only questions and requests hold in Chinese.
    static let questionIdeographs: [String] = [
        "什么", "多少", "哪", "谁", "怎么", "怎样", "为什么", "吗", "呢", "几", "告诉我", "请问", "提醒我", "是不是", "有没有",
    ]
}
