# SPDX-License-Identifier: Apache-2.0
# JSON in, one line per scalar out: the path with slashes, a tab, the value.
# Line breaks inside a value become blanks: no value that is read here has a use for them.
function where(    i, path) {
    for (i = 1; i <= depth; i++) path = path "/" (array[i] ? count[i] : name[i])
    return substr(path, 2)
}
function unescape(raw,    plain, at) {
    while ((at = index(raw, "\\")) > 0) {
        plain = plain substr(raw, 1, at - 1)
        letter = substr(raw, at + 1, 1)
        raw = substr(raw, at + 2)
        if (letter == "u") { plain = plain "?"; raw = substr(raw, 5) }
        else if (index("nrtbf", letter)) plain = plain " "
        else plain = plain letter
    }
    return plain raw
}
function ended() { if (array[depth]) count[depth]++; else key_next = 1 }
{ text = text $0 "\n" }
END {
    while (1) {
        sub(/^[ \t\r\n,:]+/, "", text)
        if (text == "") break
        head = substr(text, 1, 1)
        if (head == "{" || head == "[") {
            array[++depth] = head == "["
            count[depth] = 0
            key_next = head == "{"
            text = substr(text, 2)
        } else if (head == "}" || head == "]") {
            if (--depth < 1) break
            ended()
            text = substr(text, 2)
        } else if (head == "\"") {
            match(text, /^"([^"\\]|\\.)*"/)
            if (RLENGTH < 2) break
            word = unescape(substr(text, 2, RLENGTH - 2))
            text = substr(text, RLENGTH + 1)
            if (key_next) { name[depth] = word; key_next = 0 }
            else { print where() "\t" word; ended() }
        } else {
            match(text, /^[^],}{ \t\r\n]+/)
            if (RLENGTH < 1) break
            print where() "\t" substr(text, 1, RLENGTH)
            text = substr(text, RLENGTH + 1)
            ended()
        }
    }
}
