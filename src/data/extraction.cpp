#include <array>

#include <fmt/format.h>

#include "generators.hpp"

namespace dln {
namespace {

constexpr auto kFirstNames = std::to_array<std::string_view>(
    {"Adele",  "Ahmed",   "Alice",  "Amara",  "Anton",  "Astrid",   "Bashir", "Beatrice",
     "Bruno",  "Carmen",  "Cedric", "Chiara", "Clara",  "Dalia",    "Daniel", "Dmitri",
     "Edith",  "Elias",   "Emma",   "Esther", "Fatima", "Felix",    "Fiona",  "Gabriel",
     "Greta",  "Gustav",  "Hana",   "Hassan", "Helen",  "Hugo",     "Ines",   "Isaac",
     "Ivan",   "Jamal",   "Jasmin", "Joanna", "Jonas",  "Karim",    "Katya",  "Kenji",
     "Laila",  "Leon",    "Linnea", "Lucas",  "Magnus", "Marta",    "Mei",    "Milan",
     "Nadia",  "Nikolai", "Nora",   "Olga",   "Omar",   "Oscar",    "Paula",  "Pedro",
     "Petra",  "Quentin", "Rafael", "Rosa",   "Ruth",   "Samuel",   "Sanna",  "Simon",
     "Sonja",  "Tariq",   "Teresa", "Thomas", "Ursula", "Valentin", "Vera",   "Viktor",
     "Walter", "Wanda",   "Xenia",  "Yara",   "Yusuf",  "Zelda",    "Zoltan", "Zora"});

constexpr auto kFamilyNames = std::to_array<std::string_view>(
    {"Abbott",   "Almeida",  "Andersen", "Baker",   "Barros",   "Becker",  "Bianchi", "Brandt",
     "Carter",   "Castro",   "Chandra",  "Cooper",  "Dalgaard", "Delgado", "Dubois",  "Eklund",
     "Evans",    "Farouk",   "Fischer",  "Fonseca", "Garcia",   "Gruber",  "Haddad",  "Hansen",
     "Horvat",   "Ibrahim",  "Ivanova",  "Jansen",  "Jensen",   "Kaplan",  "Keller",  "Kimura",
     "Kowalski", "Laurent",  "Lindgren", "Lopez",   "Maier",    "Mancini", "Mbeki",   "Morris",
     "Nakamura", "Navarro",  "Nilsen",   "Novak",   "Okafor",   "Olsen",   "Orlov",   "Parker",
     "Peeters",  "Petrov",   "Quinn",    "Ramos",   "Richter",  "Rossi",   "Sato",    "Schmidt",
     "Silva",    "Sorensen", "Takeda",   "Tanaka",  "Thorne",   "Turner",  "Ulrich",  "Varga",
     "Vermeer",  "Virtanen", "Wagner",   "Walsh",   "Weber",    "Wilson",  "Yamada",  "Yilmaz",
     "Zhang",    "Ziegler",  "Zimmer",   "Zuniga",  "Acosta",   "Bergman", "Cruz",    "Duarte"});

// No capital of a country, and no name of a person.
constexpr auto kPlaces = std::to_array<std::string_view>(
    {"Aarhus",     "Aberdeen",    "Adelaide",  "Agadir",    "Aleppo",    "Antwerp",    "Arequipa",
     "Bangalore",  "Barcelona",   "Basel",     "Bergen",    "Bilbao",    "Birmingham", "Bordeaux",
     "Boston",     "Bremen",      "Brisbane",  "Bristol",   "Brno",      "Calgary",    "Cardiff",
     "Casablanca", "Chicago",     "Cologne",   "Cordoba",   "Cusco",     "Dallas",     "Denver",
     "Dortmund",   "Dresden",     "Dubrovnik", "Durban",    "Edinburgh", "Florence",   "Frankfurt",
     "Gdansk",     "Geneva",      "Genoa",     "Ghent",     "Glasgow",   "Gothenburg", "Granada",
     "Grenoble",   "Guadalajara", "Halifax",   "Hamburg",   "Houston",   "Innsbruck",  "Istanbul",
     "Izmir",      "Karachi",     "Kazan",     "Krakow",    "Kyoto",     "Lahore",     "Lausanne",
     "Leeds",      "Leipzig",     "Liverpool", "Lyon",      "Malaga",    "Malmo",      "Marseille",
     "Medellin",   "Melbourne",   "Milwaukee", "Mombasa",   "Montreal",  "Mumbai",     "Munich",
     "Nagoya",     "Nantes",      "Naples",    "Odense",    "Osaka",     "Palermo",    "Perth",
     "Pisa",       "Porto",       "Recife",    "Rotterdam", "Salzburg",  "Seattle",    "Seville",
     "Shanghai",   "Stuttgart",   "Tampere",   "Toronto",   "Toulouse",  "Trieste",    "Turin",
     "Utrecht",    "Valencia",    "Venice",    "Verona",    "Zurich"});

constexpr auto kSentences = std::to_array<std::string_view>(
    {"{person} bought {thing} at a market in {place}.",
     "On the way to {place}, {person} found {thing}.",
     "Last week {person} sent {thing} to a friend in {place}.",
     "A shop in {place} sold {thing} to {person}.",
     "While visiting {place}, {person} lost {thing}.",
     "The police in {place} returned {thing} to {person}.",
     "There was {thing} waiting when {person} came home to {place}.",
     "{person} drove all the way to {place} to repair {thing}.",
     "In {place} nobody but {person} would pay for {thing}.",
     "The museum of {place} was given {thing} by {person}."});

enum Wanted : std::size_t { person = 0, place = 1, thing = 2 };

constexpr std::array<std::array<std::string_view, 6>, 3> kExtraction{{
    {"Who is mentioned in this text? {}", "Extract the name of the person: {}",
     "Name the person in the sentence. {}", "Which person is the text about? {}",
     "Copy the full name of the person from the text: {}", "Find the person. {}"},
    {"Which city is mentioned in this text? {}", "Extract the name of the city: {}",
     "Name the city in the sentence. {}", "In which city does the text play a part? {}",
     "Copy the name of the city from the text: {}", "Find the city. {}"},
    {"Which object is mentioned in this text? {}", "Extract the object: {}",
     "Name the object in the sentence. {}", "Which thing is the text about? {}",
     "Copy the word for the object from the text: {}", "Find the object. {}"},
}};

std::string with_article(std::string_view noun) {
    constexpr std::string_view kVowels = "aeiou";
    return fmt::format("{} {}", kVowels.find(noun.front()) == std::string_view::npos ? "a" : "an",
                       noun);
}

}  // namespace

QuestionMaker extraction_questions(EntityPart part) {
    const auto first_names = share_of(part, EntityTable::first_names, kFirstNames);
    const auto family_names = share_of(part, EntityTable::family_names, kFamilyNames);
    const auto places = share_of(part, EntityTable::places, kPlaces);
    const auto things = things_of(part);
    return {.kinds = kExtraction.size(),
            .make = [first_names, family_names, places, things](CounterRng& rng, std::size_t kind) {
                const auto name =
                    fmt::format("{} {}", drawn(first_names, rng), drawn(family_names, rng));
                const std::string city(drawn(places, rng));
                const std::string object(drawn(things, rng));
                const auto text =
                    fmt::format(fmt::runtime(drawn(kSentences, rng)), fmt::arg("person", name),
                                fmt::arg("place", city), fmt::arg("thing", with_article(object)));
                const auto wording = drawn(kExtraction[kind], rng);
                const auto& target = kind == person ? name : kind == place ? city : object;
                return Question{fmt::format(fmt::runtime(wording), text), target};
            }};
}

}  // namespace dln
