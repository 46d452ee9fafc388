"""Build the clip data set: animated Fluent emoji -> N x 8 x 64 x 64 RGBA (premultiplied) plus captions.

Writes OUT/clips.npy, OUT/meta.json (captions, keywords, vocabulary) and OUT/contact.png (to look at).
`--synthetic N` draws N moving shapes instead and needs no downloads (for the smoke test).
"""
import argparse
import json
import os
import re
from collections import Counter
from functools import partial
from multiprocessing import Pool

import numpy as np
from PIL import Image, ImageDraw

SIZE, FRAMES = 64, 8
MIN_MOTION = 1.5  # mean absolute deviation from the mean frame, in 8-bit levels; below it a clip is a still picture
KEEP_STATIC = {"robot"}
STOP = {"a", "an", "the", "of", "with", "in", "on", "and", "or", "to", "s", "for"}
PICK = """😀 😂 😉 😇 🥰 😍 🤩 😘 😜 🤑 🤔 😴 😷 🤢 🥵 🥶 🤯 🤠 🥳 😎 🤓 😭 😱 😡 😈 💀 💩 🤡 👻 👽 👾 🤖
❤️ 🧡 💛 💚 💙 💜 🖤 💔 💘 🐶 🐱 🦁 🐯 🐴 🦄 🐮 🐷 🐭 🐰 🐻 🐨 🐼 🐔 🐣 🐧 🦉 🐸 🐢 🐍 🐲 🐳 🐬 🐟 🐙 🦋 🐌 🐝 🐞 🦀 🦊 🐘
🌹 🌻 🌵 🍄 🍎 🍌 🍓 🍉 🍕 🍔 🍟 🍩 🎂 🍦 ☕ 🍿 🍺 🚀 ✈️ 🚗 🚓 🚑 🚌 🚲 🚂 🚁 ⛵ 🛸 🌈 ☀️ 🌞 🌙 ⭐ 🌧️ ⛈️ ❄️ ⛄ 🔥 🌊 🌍 ⚡ 🌋
⚽ 🏀 🎈 🎁 🏆 🎸 🥁 ⏰ 💡 💣 🔔 👑 💎 📷 ☂️ 🎃 🎄 👍 👏 👋 👀""".split()


def words(text):
    text = text.lower().replace("’s", "").replace("'s", "")
    return [w for w in re.findall(r"[a-z0-9]+", text) if w not in STOP]


def codepoints(emoji, variation=True):
    return "-".join(f"{ord(c):04x}" for c in emoji if variation or c != "\ufe0f")


def shrink(rgba):
    """Premultiply, resize each plane (Lanczos), clamp: no halo of colour outside the alpha mask."""
    a = rgba.copy()
    a[..., :3] *= a[..., 3:]
    planes = [Image.fromarray(np.ascontiguousarray(a[..., c])).resize((SIZE, SIZE), Image.LANCZOS) for c in range(4)]
    b = np.clip(np.stack([np.asarray(p) for p in planes], -1), 0, 1)
    b[..., :3] = np.minimum(b[..., :3], b[..., 3:])
    return b


def decode(path):
    """Eight frames evenly spaced over the loop, by the durations in the file."""
    image = Image.open(path)
    count = getattr(image, "n_frames", 1)
    frames, durations = [], []
    for i in range(count):
        image.seek(i)
        image.load()
        durations.append(image.info.get("duration", 0) or 33)
        frames.append(np.asarray(image.convert("RGBA")).astype(np.float32) / 255)
    start = np.concatenate([[0], np.cumsum(durations)])
    picked = [min(count - 1, int(np.searchsorted(start, k * start[-1] / FRAMES, side="right") - 1)) for k in range(FRAMES)]
    clip = np.stack([shrink(frames[i]) for i in picked])
    return (clip * 255 + 0.5).astype(np.uint8), {"frames": count, "ms": float(start[-1])}


def on_white(clip):
    p = clip.astype(np.float32)
    return np.clip(p[..., :3] + 255 - p[..., 3:], 0, 255)


def load_one(files, emoji):
    for variation in (True, False):
        name = codepoints(emoji, variation) + ".webp"
        if name in files:
            return emoji, name, decode(files[name])
    return emoji, None, None


def from_packages(npm, processes):
    def data(path):
        with open(os.path.join(npm, path)) as f:
            return json.load(f)

    info = data("unicode-emoji-json/package/data-by-emoji.json")
    keywords = data("emojilib/package/dist/emoji-en-US.json")
    folders = [f"{npm}/anim{k}/package/assets" for k in range(1, 5)]
    files = {name: f"{folder}/{name}" for folder in folders for name in os.listdir(folder)}
    clips, items = [], []
    with Pool(processes) as pool:
        for emoji, file, result in pool.imap(partial(load_one, files), PICK):
            entry = info.get(emoji) or info.get(emoji.replace("\ufe0f", ""))
            if result is None or entry is None:
                print("missing", emoji)
                continue
            clip, source = result
            rgb = on_white(clip)
            motion = float(np.abs(rgb - rgb.mean(0)).mean())
            if motion < MIN_MOTION and entry["name"] not in KEEP_STATIC:
                print("static, left out:", emoji, entry["name"])
                continue
            name_words, extra = words(entry["name"]), []
            for keyword in keywords.get(emoji, []):
                w = words(keyword.replace("_", " "))
                if 1 <= len(w) <= 2 and not any(c in keyword for c in ":;"):
                    extra += w
            extra = [w for w in dict.fromkeys(extra) if w not in name_words and len(w) > 2]
            clips.append(clip)
            items.append(dict(emoji=emoji, file=file, name=entry["name"], group=entry["group"], words=name_words, kw=extra, motion=motion, **source))
            print(f"{len(items):3} {emoji} {entry['name']}: {source['frames']} frames, {source['ms']:.0f} ms, motion {motion:.1f}", flush=True)
    return clips, items


def synthetic(count):
    """Circles and squares in five colours that move across the picture."""
    colors = {"red": (230, 40, 60), "green": (40, 180, 80), "blue": (50, 90, 230), "yellow": (250, 200, 40), "purple": (150, 60, 200)}
    clips, items = [], []
    for j in range(count):
        color, shape = list(colors)[j % len(colors)], ("circle", "square")[j // len(colors) % 2]
        frames = []
        for k in range(FRAMES):
            image = Image.new("RGBA", (SIZE * 4, SIZE * 4), (0, 0, 0, 0))
            x, y = 64 + 24 * np.cos(2 * np.pi * k / FRAMES), 64 + 24 * np.sin(2 * np.pi * (k / FRAMES + j / count))
            draw = ImageDraw.Draw(image)
            getattr(draw, {"circle": "ellipse", "square": "rectangle"}[shape])((x - 32, y - 32, x + 32, y + 32), fill=colors[color] + (255,))
            frames.append(shrink(np.asarray(image).astype(np.float32) / 255))
        clips.append((np.stack(frames) * 255 + 0.5).astype(np.uint8))
        items.append(dict(emoji="", file="", name=f"{color} {shape}", group="synthetic", words=[color, shape], kw=["shape", "moving"], motion=0.0, frames=FRAMES, ms=1600.0))
    return clips, items


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--npm", default="npm", help="folder with the unpacked npm packages anim1..anim4, unicode-emoji-json, emojilib")
    parser.add_argument("--out", default="data")
    parser.add_argument("--synthetic", type=int, default=0, metavar="N")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    clips, items = synthetic(args.synthetic) if args.synthetic else from_packages(args.npm, args.processes)

    # Keywords stay only where they can mean something: shared by two clips, or part of some clip's name.
    seen = Counter(w for i in items for w in i["kw"])
    names = {w for i in items for w in i["words"]}
    for i in items:
        i["kw"] = [w for w in i["kw"] if w in names or seen[w] >= 2][:6]
    vocab = ["<pad>", "<unk>", "<null>"] + sorted(names | {w for i in items for w in i["kw"]})
    print(len(items), "clips,", len(vocab), "words")

    clips = np.stack(clips)
    np.save(f"{args.out}/clips.npy", clips)
    with open(f"{args.out}/meta.json", "w") as f:
        json.dump(dict(items=items, vocab=vocab, stop=sorted(STOP)), f, ensure_ascii=False)
    columns, step = 3, SIZE + 2
    rows, width = -(-len(items) // columns), FRAMES * SIZE + 8
    page = np.full((rows * step, columns * width, 3), 255, np.uint8)
    for j, clip in enumerate(clips):
        r, c = divmod(j, columns)
        page[r * step : r * step + SIZE, c * width : c * width + FRAMES * SIZE] = np.concatenate(list(on_white(clip)), 1)
    Image.fromarray(page).save(f"{args.out}/contact.png")


if __name__ == "__main__":
    main()
