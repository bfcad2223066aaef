// The committed schema and documentation are those of the table, and the shipped jobs fit both.
#include "dln/job/job_docs.hpp"

#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "dln/job/any_job.hpp"

#include "job_fixture.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;
using valijson::adapters::NlohmannJsonAdapter;

const std::string kSource = DLN_SOURCE_DIR;

std::string content_of(const std::filesystem::path& path) {
    std::ostringstream content;
    content << std::ifstream(path, std::ios::binary).rdbuf();
    return content.str();
}

/// What the schema has against the job; empty when nothing.
std::string schema_faults(const std::string& text, const std::string& of = job_schema()) {
    const auto document = nlohmann::json::parse(of);
    valijson::Schema schema;
    valijson::SchemaParser().populateSchema(NlohmannJsonAdapter(document), schema);
    const auto job = nlohmann::json::parse(text, nullptr, true, true);
    valijson::Validator validator;
    valijson::ValidationResults results;
    std::string faults;
    if (!validator.validate(schema, NlohmannJsonAdapter(job), &results)) {
        valijson::ValidationResults::Error error;
        while (results.popError(error)) {
            for (const auto& part : error.context) {
                faults += part;
            }
            faults += ": " + error.description + "\n";
        }
        faults += "refused";
    }
    return faults;
}

std::vector<std::filesystem::path> jobs_in(const std::string& folder) {
    std::vector<std::filesystem::path> jobs;
    for (const auto& entry : std::filesystem::directory_iterator(kSource + folder)) {
        const auto name = entry.path().filename().string();
        if (entry.path().extension() == ".json" && !name.ends_with(".schema.json")) {
            jobs.push_back(entry.path());
        }
    }
    return jobs;
}

TEST(JobDocs, CommittedSchemaIsCurrent) {
    EXPECT_EQ(content_of(kSource + "/jobs/job.schema.json"), job_schema())
        << "build dln_job_docs and run it with the source directory";
}

TEST(JobDocs, CommittedPageIsCurrent) {
    EXPECT_EQ(content_of(kSource + "/docs/job-format.md"), job_format_markdown())
        << "build dln_job_docs and run it with the source directory";
}

TEST(MopDocs, CommittedSchemaAndPageAreCurrent) {
    EXPECT_EQ(content_of(kSource + "/jobs/mop.schema.json"), mop_schema());
    EXPECT_EQ(content_of(kSource + "/docs/mop-format.md"), mop_format_markdown());
}

TEST(SweepDocs, CommittedSchemaAndPageAreCurrent) {
    EXPECT_EQ(content_of(kSource + "/jobs/sweeps/sweep.schema.json"), sweep_schema());
    EXPECT_EQ(content_of(kSource + "/docs/sweep-format.md"), sweep_format_markdown());
}

TEST(SweepDocs, ShippedSweepsFitTheSchema) {
    for (const auto& path : jobs_in("/jobs/sweeps")) {
        EXPECT_EQ(schema_faults(content_of(path), sweep_schema()), "") << path;
    }
}

TEST(JobDocs, ShippedJobsFitTheSchema) {
    for (const auto* folder : {"/jobs", "/tests/support/jobs"}) {
        for (const auto& path : jobs_in(folder)) {
            const bool is_mixture = path.filename().string().starts_with("mop-");
            EXPECT_EQ(schema_faults(content_of(path), is_mixture ? mop_schema() : job_schema()), "")
                << path;
        }
    }
}

TEST(JobDocs, ShippedJobsAreAcceptedWhereTheirFilesExist) {
    for (const auto* folder : {"/jobs", "/tests/support/jobs"}) {
        for (const auto& path : jobs_in(folder)) {
            try {
                (void)read_any_job(path.string());
            } catch (const UsageError& error) {
                std::istringstream lines(error.what());
                for (std::string line; std::getline(lines, line);) {
                    // A long list of faults is cut short.
                    if (line.starts_with("... and ")) continue;
                    EXPECT_THAT(line, HasSubstr("there is no file")) << path;
                }
            }
        }
    }
}

TEST_F(JobFixture, ExampleOfThePageIsAJob) {
    const auto page = job_format_markdown();
    const auto begin = page.find("```json\n") + 8;
    const auto example = page.substr(begin, page.find("```", begin) - begin);
    for (const auto* split : {"train", "dev", "test"}) {
        write(std::string("reviews.") + split + ".jsonl", "");
    }
    EXPECT_EQ(fault(example), "");
    EXPECT_EQ(schema_faults(example), "");
}

TEST_F(JobFixture, ResolvedJobFitsTheSchema) {
    EXPECT_EQ(schema_faults(job_to_json(parse(kValid)).dump()), "");
    EXPECT_EQ(schema_faults(kValid), "");
}

TEST_F(JobFixture, SchemaRefusesWhatTheReaderRefuses) {
    for (const auto& set : std::vector<Override>{{"/train/stepz", "1"},
                                                 {"/train/steps", "\"x\""},
                                                 {"/train/candidates", "0"},
                                                 {"/scoring/burn_in", "1"},
                                                 {"/scoring/objective", "\"x\""},
                                                 {"/keep", "0"},
                                                 {"/network/layers", "[]"},
                                                 {"/network/layers", "[{}]"},
                                                 {"/network/layers/0/prompts", "[\"a\"]"},
                                                 {"/network/layers/0/stop", "\"\""},
                                                 {"/classes/0", "1"}}) {
        auto job = nlohmann::ordered_json::parse(kValid);
        job[nlohmann::ordered_json::json_pointer(set.pointer)] =
            nlohmann::ordered_json::parse(set.value);
        EXPECT_NE(schema_faults(job.dump()), "") << set.pointer;
        EXPECT_NE(fault(job.dump()), "") << set.pointer;
    }
}

TEST(JobDocs, PageDocumentsEveryField) {
    const auto schema = nlohmann::json::parse(job_schema());
    const auto page = job_format_markdown();
    for (const auto* section : {"scoring", "train", "backend"}) {
        for (const auto& [name, field] : schema["properties"][section]["properties"].items()) {
            EXPECT_THAT(page, HasSubstr("| `" + name + "` |"));
            EXPECT_TRUE(field.contains("description")) << name;
        }
    }
}

}  // namespace
}  // namespace dln
