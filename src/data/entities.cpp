#include "entities.hpp"

#include <algorithm>

#include "dln/error.hpp"

namespace dln {
namespace {

constexpr int kFirstLargeNumber = 100;
constexpr int kNumbersEnd = 1000;

// By the alphabet.
constexpr auto kThings = std::to_array<std::string_view>({
    "acorn",        "anchor",   "apron",     "arrow",   "axe",        "backpack", "bagel",
    "ball",         "banana",   "bandage",   "barrel",  "basket",     "bell",     "belt",
    "blanket",      "book",     "boot",      "bottle",  "bowl",       "bracelet", "brick",
    "broom",        "brush",    "bucket",    "button",  "cabbage",    "cactus",   "cake",
    "camera",       "candle",   "carpet",    "carrot",  "chain",      "chair",    "cherry",
    "chisel",       "clock",    "coat",      "coin",    "comb",       "compass",  "cookie",
    "cork",         "crown",    "cup",       "curtain", "cushion",    "dagger",   "desk",
    "diamond",      "diary",    "doll",      "drum",    "dustpan",    "earring",  "easel",
    "egg",          "engine",   "envelope",  "eraser",  "fan",        "feather",  "fence",
    "fiddle",       "flag",     "flask",     "flute",   "fork",       "fossil",   "funnel",
    "gate",         "glove",    "goblet",    "grape",   "guitar",     "hammer",   "hammock",
    "handkerchief", "harp",     "hat",       "hatchet", "helmet",     "hinge",    "hook",
    "hoop",         "inkwell",  "iron",      "jacket",  "jar",        "jewel",    "jigsaw",
    "jug",          "kettle",   "key",       "kite",    "knife",      "knot",     "ladder",
    "ladle",        "lamp",     "lantern",   "leaf",    "lemon",      "letter",   "lid",
    "magnet",       "map",      "marble",    "mask",    "mattress",   "medal",    "melon",
    "microscope",   "mirror",   "mitten",    "mop",     "mug",        "mushroom", "nail",
    "napkin",       "necklace", "needle",    "nest",    "newspaper",  "notebook", "nut",
    "oar",          "olive",    "onion",     "orange",  "oven",       "paddle",   "padlock",
    "painting",     "pancake",  "parcel",    "peach",   "pear",       "pebble",   "pencil",
    "pepper",       "piano",    "pillow",    "pipe",    "plate",      "plum",     "pocket",
    "poster",       "potato",   "pumpkin",   "purse",   "quill",      "quilt",    "radio",
    "raft",         "raisin",   "rake",      "razor",   "ribbon",     "ring",     "robe",
    "rocket",       "rope",     "rug",       "ruler",   "saddle",     "sandal",   "saw",
    "scarf",        "seed",     "shawl",     "shell",   "shield",     "shirt",    "shoe",
    "shovel",       "sickle",   "sieve",     "skirt",   "sled",       "sock",     "sofa",
    "spade",        "sponge",   "spoon",     "stamp",   "statue",     "stool",    "suitcase",
    "sweater",      "sword",    "table",     "tablet",  "tambourine", "teapot",   "telescope",
    "tent",         "thimble",  "ticket",    "toaster", "tomato",     "torch",    "towel",
    "toy",          "tray",     "trophy",    "trumpet", "trunk",      "turnip",   "umbrella",
    "urn",          "vase",     "veil",      "vest",    "violin",     "wagon",    "wallet",
    "walnut",       "watch",    "wheel",     "whip",    "whisk",      "whistle",  "wig",
    "window",       "wreath",   "xylophone", "yoke",    "zipper",     "zither",
});

}  // namespace

std::vector<std::size_t> share_of(EntityPart part, EntityTable table, std::size_t count) {
    constexpr std::uint64_t kSeed = 20231004;  // of no data set: the shares are always the same
    const auto order = CounterRng({.seed = kSeed,
                                   .step = static_cast<std::uint64_t>(table),
                                   .role = RandomRole::data_split})
                           .permutation(count);
    const std::array<std::size_t, 4> bounds{0, count / 2, count * 7 / 10, count};
    const auto at = static_cast<std::size_t>(part);
    std::vector<std::size_t> share(order.begin() + static_cast<std::ptrdiff_t>(bounds[at]),
                                   order.begin() + static_cast<std::ptrdiff_t>(bounds[at + 1]));
    std::sort(share.begin(), share.end());
    return share;
}

std::vector<int> numbers_of(EntityPart part, int largest) {
    DLN_ASSERT(largest < kNumbersEnd, "numbers up to {}", largest);
    std::vector<int> numbers;
    const auto add = [&](EntityTable table, int first, int end) {
        for (const auto index : share_of(part, table, static_cast<std::size_t>(end - first))) {
            if (const int number = first + static_cast<int>(index); number <= largest) {
                numbers.push_back(number);
            }
        }
    };
    add(EntityTable::numbers, 1, kFirstLargeNumber);
    add(EntityTable::large_numbers, kFirstLargeNumber, kNumbersEnd);
    return numbers;
}

std::vector<std::string_view> things_of(EntityPart part) {
    return share_of(part, EntityTable::things, kThings);
}

}  // namespace dln
