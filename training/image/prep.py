"""Build the picture data set: 3D Fluent emoji -> N x 64 x 64 RGBA (premultiplied) plus captions.

emoji.txt lists the emoji, picked by hand for recognisability in small pictures. Writes OUT/images.npy, OUT/meta.json
(captions, keywords, background colours, vocabulary) and OUT/contact.png (to look at).
"""
import argparse
import json
import os
import re
from collections import Counter

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
STOP = {"a", "an", "the", "of", "with", "in", "on", "and", "or", "to", "s", "for"}
COLORS = {
    "red": (250, 190, 190), "orange": (253, 216, 176), "yellow": (252, 240, 176), "green": (196, 232, 190), "blue": (186, 214, 250),
    "purple": (220, 200, 246), "pink": (252, 206, 228), "gray": (208, 210, 214), "black": (40, 40, 46),
}  # fmt: skip


def words(text):
    text = text.lower().replace("’s", "").replace("'s", "").replace("piñata", "pinata")
    return [w for w in re.findall(r"[a-z0-9]+", text) if w not in STOP]


def codepoints(emoji, variation=True):
    return "-".join(f"{ord(c):04x}" for c in emoji if variation or c != "\ufe0f")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--npm", default="npm", help="folder with the unpacked npm packages emoji3d, unicode-emoji-json, emojilib")
    parser.add_argument("--out", default="data")
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)

    def data(path):
        with open(f"{args.npm}/{path}") as f:
            return json.load(f)

    info = data("unicode-emoji-json/package/data-by-emoji.json")
    keywords = data("emojilib/package/dist/emoji-en-US.json")
    folder = f"{args.npm}/emoji3d/package/assets"
    files, size = set(os.listdir(folder)), args.size
    with open(f"{HERE}/emoji.txt") as f:
        picked = f.read().split()

    items, images = [], []
    for emoji in picked:
        file = next((n for n in (codepoints(emoji) + ".webp", codepoints(emoji, False) + ".webp") if n in files), None)
        entry = info.get(emoji)
        if file is None or entry is None:
            print("missing", emoji)
            continue
        name_words, extra = words(entry["name"]), []
        for keyword in keywords.get(emoji, []):
            w = words(keyword.replace("_", " "))
            if 1 <= len(w) <= 2 and not any(c in keyword for c in ":;"):
                extra += w
        extra = [w for w in dict.fromkeys(extra) if w not in name_words and len(w) > 2]
        items.append(dict(emoji=emoji, file=file, name=entry["name"], group=entry["group"], words=name_words, kw=extra))
        # Pillow resizes RGBA weighted by alpha; premultiply afterwards.
        a = np.asarray(Image.open(f"{folder}/{file}").convert("RGBA").resize((size, size), Image.LANCZOS)).astype(np.float32) / 255
        a[..., :3] *= a[..., 3:]
        images.append((a * 255 + 0.5).astype(np.uint8))

    seen = Counter(w for i in items for w in i["kw"])
    names = {w for i in items for w in i["words"]}
    for i in items:
        i["kw"] = [w for w in i["kw"] if w in names or seen[w] >= 3][:8]
    rest = set(COLORS) | names | {w for i in items for w in i["kw"]}
    vocab = ["<pad>", "<unk>", "<null>", "background"] + sorted(rest - {"background"})
    print(len(items), "pictures,", len(vocab), "words")

    images = np.stack(images)
    np.save(f"{args.out}/images.npy", images)
    with open(f"{args.out}/meta.json", "w") as f:
        json.dump(dict(items=items, vocab=vocab, colors=COLORS, stop=sorted(STOP)), f, ensure_ascii=False)
    columns = 40
    page = np.full((-(-len(items) // columns) * size, columns * size, 3), 255, np.uint8)
    for j, image in enumerate(images):
        r, c = divmod(j, columns)
        rgba = image.astype(np.float32)
        page[r * size : (r + 1) * size, c * size : (c + 1) * size] = np.clip(rgba[..., :3] + 255 - rgba[..., 3:], 0, 255)
    Image.fromarray(page).save(f"{args.out}/contact.png")


if __name__ == "__main__":
    main()
