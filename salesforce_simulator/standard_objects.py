"""The standard objects, written down once: describe is answered and text is typed from this notation.

An object opens with `Name | key prefix | label | plural label | marks`; its fields follow, indented:
`Name type(arguments) {picklist values} flags`. Arguments: the length of text, precision and scale of a number, the objects
that a reference points at. Flags: `!` not nillable, `name` names the record, `calc` a formula, `readonly` and `once` (set at
creation only), `nofilter`, `external` id, `rel=` the name of the parent relationship (the field without `Id` if left out),
`child=` that of the child relationship. `nobulk` marks an object that the Bulk APIs do not serve.
"""

# ruff: noqa: E501

NOTATION = """
Organization | 00D | Organization | Organizations | readonly
  Id id
  Name string(80) ! name
  Division string(80)
  Street textarea(255)
  City string(40)
  State string(80)
  PostalCode string(20)
  Country string(80)
  Phone phone
  PrimaryContact string(80)
  DefaultLocaleSidKey picklist {en_US|en_GB|de_DE|fr_FR} !
  TimeZoneSidKey picklist {UTC|GMT|America/New_York|America/Los_Angeles|Europe/Berlin|Europe/London} !
  LanguageLocaleKey picklist {en_US|de|fr} !
  FiscalYearStartMonth int
  UsesStartDateAsFiscalYearName boolean
  OrganizationType picklist {Team Edition|Professional Edition|Enterprise Edition|Developer Edition|Unlimited Edition}
  NamespacePrefix string(15)
  InstanceName string(5)
  IsSandbox boolean readonly
  TrialExpirationDate datetime
  IsReadOnly boolean readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
User | 005 | User | Users
  Id id
  Username string(80) !
  LastName string(80) !
  FirstName string(40)
  Name string(121) ! name readonly
  CompanyName string(80)
  Division string(80)
  Department string(80)
  Title string(80)
  Email email(128) !
  Phone phone
  MobilePhone phone
  Alias string(8) !
  IsActive boolean
  TimeZoneSidKey picklist {UTC|GMT|America/New_York|America/Los_Angeles|Europe/Berlin|Europe/London} !
  UserRoleId reference(UserRole) child=Users
  LocaleSidKey picklist {en_US|en_GB|de_DE|fr_FR} !
  ProfileId reference(Profile) ! child=Users
  UserType picklist {Standard|PowerPartner|CSPLitePortal|CustomerSuccess|PowerCustomerSuccess|CsnOnly|AutomatedProcess} readonly
  LanguageLocaleKey picklist {en_US|de|fr} !
  EmployeeNumber string(20)
  ManagerId reference(User) child=ManagedUsers
  LastLoginDate datetime readonly
  DefaultCurrencyIsoCode picklist {USD|EUR}
  CurrencyIsoCode picklist {USD|EUR}
  FederationIdentifier string(512)
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
UserRole | 00E | Role | Roles
  Id id
  Name string(80) ! name
  ParentRoleId reference(UserRole) rel=ParentRole
  DeveloperName string(80)
  RollupDescription string(80)
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Profile | 00e | Profile | Profiles | readonly
  Id id
  Name string(255) ! name
  UserType picklist {Standard|PowerPartner}
  Description string(255)
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Account | 001 | Account | Accounts
  Id id
  IsDeleted boolean readonly
  MasterRecordId reference(Account) rel=MasterRecord readonly
  Name string(255) ! name
  Type picklist {Prospect|Customer - Direct|Customer - Channel|Channel Partner / Reseller|Installation Partner|Technology Partner|Other}
  RecordTypeId reference(RecordType)
  ParentId reference(Account) child=ChildAccounts
  BillingStreet textarea(255)
  BillingCity string(40)
  BillingState string(80)
  BillingPostalCode string(20)
  BillingCountry string(80)
  Phone phone
  Fax phone
  AccountNumber string(40)
  Website url
  Sic string(20)
  Industry picklist {Agriculture|Apparel|Banking|Biotechnology|Chemicals|Communications|Construction|Consulting|Education|Electronics|Energy|Engineering|Entertainment|Environmental|Finance|Food & Beverage|Government|Healthcare|Hospitality|Insurance|Machinery|Manufacturing|Media|Not For Profit|Recreation|Retail|Shipping|Technology|Telecommunications|Transportation|Utilities|Other}
  AnnualRevenue currency(18,0)
  NumberOfEmployees int
  Ownership picklist {Public|Private|Subsidiary|Other}
  TickerSymbol string(20)
  Description textarea(32000)
  Rating picklist {Hot|Warm|Cold}
  Site string(80)
  CurrencyIsoCode picklist {USD|EUR}
  OwnerId reference(User)
  LastActivityDate date readonly
  AccountSource picklist {Web|Phone Inquiry|Partner Referral|Purchased List|Other}
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Contact | 003 | Contact | Contacts
  Id id
  IsDeleted boolean readonly
  MasterRecordId reference(Contact) rel=MasterRecord readonly
  AccountId reference(Account) child=Contacts
  LastName string(80) !
  FirstName string(40)
  Salutation picklist {Mr.|Ms.|Mrs.|Dr.|Prof.|Mx.}
  Name string(121) ! name readonly
  RecordTypeId reference(RecordType)
  MailingStreet textarea(255)
  MailingCity string(40)
  MailingState string(80)
  MailingPostalCode string(20)
  MailingCountry string(80)
  Phone phone
  Fax phone
  MobilePhone phone
  ReportsToId reference(Contact) rel=ReportsTo
  Email email
  Title string(128)
  Department string(80)
  LeadSource picklist {Web|Phone Inquiry|Partner Referral|Purchased List|Other}
  Birthdate date
  Description textarea(32000)
  CurrencyIsoCode picklist {USD|EUR}
  OwnerId reference(User)
  HasOptedOutOfEmail boolean
  LastActivityDate date readonly
  IsEmailBounced boolean readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Lead | 00Q | Lead | Leads
  Id id
  IsDeleted boolean readonly
  MasterRecordId reference(Lead) rel=MasterRecord readonly
  LastName string(80) !
  FirstName string(40)
  Salutation picklist {Mr.|Ms.|Mrs.|Dr.|Prof.|Mx.}
  Name string(121) ! name readonly
  RecordTypeId reference(RecordType)
  Title string(128)
  Company string(255) !
  Street textarea(255)
  City string(40)
  State string(80)
  PostalCode string(20)
  Country string(80)
  Phone phone
  MobilePhone phone
  Email email
  Website url
  Description textarea(32000)
  LeadSource picklist {Web|Phone Inquiry|Partner Referral|Purchased List|Other}
  Status picklist {Open - Not Contacted|Working - Contacted|Closed - Converted|Closed - Not Converted} !
  Industry picklist {Banking|Consulting|Manufacturing|Retail|Technology|Other}
  Rating picklist {Hot|Warm|Cold}
  CurrencyIsoCode picklist {USD|EUR}
  AnnualRevenue currency(18,0)
  NumberOfEmployees int
  OwnerId reference(User,Group)
  IsConverted boolean
  ConvertedDate date readonly
  ConvertedAccountId reference(Account) rel=ConvertedAccount readonly
  ConvertedContactId reference(Contact) rel=ConvertedContact readonly
  ConvertedOpportunityId reference(Opportunity) rel=ConvertedOpportunity readonly
  LastActivityDate date readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
RecordType | 012 | Record Type | Record Types
  Id id
  Name string(80) ! name
  DeveloperName string(80) !
  NamespacePrefix string(15)
  Description string(255)
  BusinessProcessId reference(BusinessProcess)
  SobjectType picklist {Account|Contact|Lead|Opportunity|Task|Event} ! once
  IsActive boolean
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
BusinessProcess | 019 | Business Process | Business Processes
  Id id
  Name string(80) ! name
  NamespacePrefix string(15)
  Description string(255)
  TableEnumOrId picklist {Lead|Opportunity|Case|Solution} ! once
  IsActive boolean
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
OpportunityStage | 01J | Opportunity Stage | Opportunity Stage | readonly
  Id id
  MasterLabel string(255) name readonly
  ApiName string(255) readonly
  IsActive boolean readonly
  SortOrder int readonly
  IsClosed boolean readonly
  IsWon boolean readonly
  ForecastCategory picklist {Omitted|Pipeline|BestCase|MostLikely|Forecast|Closed} readonly
  ForecastCategoryName picklist {Omitted|Pipeline|Best Case|Most Likely|Commit|Closed} readonly
  DefaultProbability percent(3,0) readonly
  Description string(255) readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Campaign | 701 | Campaign | Campaigns
  Id id
  IsDeleted boolean readonly
  Name string(80) ! name
  ParentId reference(Campaign) child=ChildCampaigns
  Type picklist {Conference|Webinar|Trade Show|Public Relations|Partners|Referral Program|Advertisement|Banner Ads|Direct Mail|Email|Telemarketing|Other}
  Status picklist {Planned|In Progress|Completed|Aborted}
  StartDate date
  EndDate date
  CurrencyIsoCode picklist {USD|EUR}
  BudgetedCost currency(18,0)
  ActualCost currency(18,0)
  IsActive boolean
  Description textarea(32000)
  OwnerId reference(User)
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Opportunity | 006 | Opportunity | Opportunities
  Id id
  IsDeleted boolean readonly
  AccountId reference(Account) child=Opportunities
  RecordTypeId reference(RecordType)
  IsPrivate boolean
  Name string(120) ! name
  Description textarea(32000)
  StageName picklist !
  Amount currency(18,2)
  Probability percent(3,0)
  ExpectedRevenue currency(18,2) calc
  TotalOpportunityQuantity double(18,2)
  CloseDate date !
  Type picklist {Existing Customer - Upgrade|Existing Customer - Replacement|Existing Customer - Downgrade|New Customer}
  NextStep string(255)
  LeadSource picklist {Web|Phone Inquiry|Partner Referral|Purchased List|Other}
  IsClosed boolean readonly
  IsWon boolean readonly
  ForecastCategory picklist {Omitted|Pipeline|BestCase|MostLikely|Forecast|Closed} readonly
  ForecastCategoryName picklist {Omitted|Pipeline|Best Case|Most Likely|Commit|Closed}
  CurrencyIsoCode picklist {USD|EUR}
  CampaignId reference(Campaign) child=Opportunities
  HasOpportunityLineItem boolean readonly
  Pricebook2Id reference(Pricebook2)
  OwnerId reference(User)
  LastActivityDate date readonly
  PushCount int readonly
  LastStageChangeDate datetime readonly
  LastViewedDate datetime readonly
  LastReferencedDate datetime readonly
  FiscalQuarter int readonly
  FiscalYear int readonly
  Fiscal string(6) readonly
  ContactId reference(Contact)
  HasOpenActivity boolean readonly
  HasOverdueTask boolean readonly
  LastAmountChangedHistoryId reference(OpportunityHistory) rel=LastAmountChangedHistory readonly
  LastCloseDateChangedHistoryId reference(OpportunityHistory) rel=LastCloseDateChangedHistory readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
OpportunityHistory | 008 | Opportunity: Stage History | Opportunity: Stage History | readonly
  Id id
  IsDeleted boolean readonly
  OpportunityId reference(Opportunity) child=OpportunityHistories readonly
  StageName picklist readonly
  Amount currency(18,2) readonly
  PrevAmount currency(18,2) readonly
  ExpectedRevenue currency(18,2) readonly
  CloseDate date readonly
  PrevCloseDate date readonly
  Probability percent(3,0) readonly
  ForecastCategory picklist {Omitted|Pipeline|BestCase|MostLikely|Forecast|Closed} readonly
  CurrencyIsoCode picklist {USD|EUR} readonly
  CreatedById reference(User) rel=CreatedBy
  CreatedDate datetime readonly
  SystemModstamp datetime readonly
OpportunityFieldHistory | 017 | Opportunity Field History | Opportunity Field History | readonly
  Id id
  IsDeleted boolean readonly
  OpportunityId reference(Opportunity) child=Histories readonly
  Field picklist readonly
  DataType picklist readonly
  OldValue string(255) nofilter readonly
  NewValue string(255) nofilter readonly
  CreatedById reference(User) rel=CreatedBy
  CreatedDate datetime readonly
OpportunityContactRole | 00K | Opportunity Contact Role | Opportunity Contact Role
  Id id
  IsDeleted boolean readonly
  OpportunityId reference(Opportunity) ! child=OpportunityContactRoles once
  ContactId reference(Contact) ! child=OpportunityContactRoles
  Role picklist {Business User|Decision Maker|Economic Buyer|Economic Decision Maker|Evaluator|Executive Sponsor|Influencer|Technical Buyer|Other}
  IsPrimary boolean
  CurrencyIsoCode picklist {USD|EUR}
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Task | 00T | Task | Tasks
  Id id
  IsDeleted boolean readonly
  WhoId reference(Contact,Lead) rel=Who child=Tasks
  WhatId reference(Account,Opportunity,Campaign) rel=What child=Tasks
  Subject combobox(255) name
  ActivityDate date
  Status picklist {Not Started|In Progress|Completed|Waiting on someone else|Deferred} !
  Priority picklist {High|Normal|Low} !
  IsHighPriority boolean readonly
  OwnerId reference(User,Group) !
  Description textarea(32000)
  Type picklist {Call|Meeting|Other|Email}
  AccountId reference(Account) readonly
  IsClosed boolean readonly
  IsArchived boolean readonly
  CallDurationInSeconds int
  CallType picklist {Internal|Inbound|Outbound}
  CallDisposition string(255)
  TaskSubtype picklist {Task|Email|ListEmail|Cadence|Call|LinkedIn} once
  CompletedDateTime datetime readonly
  ReminderDateTime datetime
  CurrencyIsoCode picklist {USD|EUR}
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Event | 00U | Event | Events
  Id id
  IsDeleted boolean readonly
  WhoId reference(Contact,Lead) rel=Who child=Events
  WhatId reference(Account,Opportunity,Campaign) rel=What child=Events
  Subject combobox(255) name
  Location string(255)
  IsAllDayEvent boolean
  ActivityDateTime datetime
  ActivityDate date
  DurationInMinutes int
  StartDateTime datetime
  EndDateTime datetime
  EndDate date
  Description textarea(32000)
  AccountId reference(Account) readonly
  OwnerId reference(User) !
  Type picklist {Call|Meeting|Other|Email}
  IsPrivate boolean
  ShowAs picklist {Busy|OutOfOffice|Free}
  IsChild boolean readonly
  IsGroupEvent boolean readonly
  GroupEventType picklist {0|1|2|3} readonly
  EventSubtype picklist {Event} once
  IsArchived boolean readonly
  IsRecurrence boolean once
  CurrencyIsoCode picklist {USD|EUR}
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
EventRelation | 0RE | Event Relation | Event Relations
  Id id
  IsDeleted boolean readonly
  RelationId reference(Contact,Lead,User,Account,Opportunity) ! rel=Relation once
  EventId reference(Event) ! child=EventRelations once
  IsWhat boolean once
  IsParent boolean once
  IsInvitee boolean once
  AccountId reference(Account) readonly
  Status picklist {New|Accepted|Declined|Uninvited}
  RespondedDate datetime
  Response string(255)
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
EmailMessage | 02s | Email Message | Email Messages
  Id id
  IsDeleted boolean readonly
  ParentId reference(Case) rel=Parent
  ActivityId reference(Task) rel=Activity
  TextBody textarea(131072)
  HtmlBody textarea(131072)
  Headers textarea(32000)
  Subject string(3000)
  FromName string(1000)
  FromAddress email(1000)
  ToAddress textarea(4000)
  CcAddress textarea(4000)
  BccAddress textarea(4000)
  Incoming boolean
  HasAttachment boolean readonly
  Status picklist {0|1|2|3|4|5} !
  MessageDate datetime
  ReplyToEmailMessageId reference(EmailMessage) rel=ReplyToEmailMessage
  IsExternallyVisible boolean
  MessageIdentifier string(765)
  ThreadIdentifier string(765)
  IsClientManaged boolean
  RelatedToId reference(Account,Opportunity,Campaign) rel=RelatedTo child=Emails
  IsTracked boolean
  IsOpened boolean readonly
  FirstOpenedDate datetime
  LastOpenedDate datetime
  IsBounced boolean
  EmailTemplateId string(18)
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
CurrencyType | 01L | Currency Type | Currency Type
  Id id
  IsoCode picklist {USD|EUR} ! once
  ConversionRate double(18,6) !
  DecimalPlaces int !
  IsActive boolean
  IsCorporate boolean
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
DatedConversionRate | 04w | Dated Conversion Rate | Dated Conversion Rate | nobulk
  Id id
  IsoCode picklist {USD|EUR} ! once
  StartDate date !
  NextStartDate date readonly
  ConversionRate double(18,6) !
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Group | 00G | Group | Group
  Id id
  Name string(40) ! name
  DeveloperName string(80)
  RelatedId reference(UserRole,User) rel=Related readonly
  Type picklist {Regular|Role|RoleAndSubordinates|Queue|Organization} once
  Email email
  OwnerId reference(User,Organization) readonly
  DoesSendEmailToMembers boolean
  DoesIncludeBosses boolean
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
Period | 026 | Period | Period | readonly
  Id id
  FiscalYearSettingsId reference(FiscalYearSettings)
  Type picklist {Month|Quarter|Week|Year}
  StartDate date
  EndDate date
  IsForecastPeriod boolean
  QuarterLabel picklist
  PeriodLabel picklist
  Number int
  FullyQualifiedLabel string(80)
  SystemModstamp datetime readonly
Holiday | 0C0 | Holiday | Holiday
  Id id
  Name string(100) name
  Description string(100)
  IsAllDay boolean
  ActivityDate date
  StartTimeInMinutes int
  EndTimeInMinutes int
  IsRecurrence boolean
  RecurrenceStartDate date
  RecurrenceEndDateOnly date
  RecurrenceType picklist {RecursDaily|RecursEveryWeekday|RecursMonthly|RecursMonthlyNth|RecursWeekly|RecursYearly|RecursYearlyNth}
  RecurrenceInterval int
  RecurrenceDayOfWeekMask int
  RecurrenceDayOfMonth int
  RecurrenceInstance picklist {First|Second|Third|Fourth|Last}
  RecurrenceMonthOfYear picklist {January|February|March|April|May|June|July|August|September|October|November|December}
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
ForecastingQuota | 0J9 | Forecasting Quota | Forecasting Quotas
  Id id
  IsDeleted boolean readonly
  QuotaOwnerId reference(User) ! rel=QuotaOwner
  PeriodId reference(Period) once
  ProductFamily picklist
  StartDate date !
  IsAmount boolean
  IsQuantity boolean
  QuotaAmount currency(18,2)
  QuotaQuantity double(18,2)
  ForecastingTypeId reference(ForecastingType)
  CurrencyIsoCode picklist {USD|EUR}
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
CampaignMember | 00v | Campaign Member | Campaign Members
  Id id
  IsDeleted boolean readonly
  CampaignId reference(Campaign) ! child=CampaignMembers once
  LeadId reference(Lead) child=CampaignMembers once
  ContactId reference(Contact) child=CampaignMembers once
  Status picklist {Sent|Responded|Registered|Attended|No Show}
  HasResponded boolean readonly
  CurrencyIsoCode picklist {USD|EUR}
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
  FirstRespondedDate date readonly
  Salutation picklist {Mr.|Ms.|Mrs.|Dr.|Prof.|Mx.} readonly
  Name string(255) name readonly
  FirstName string(40) readonly
  LastName string(80) readonly
  Title string(128) readonly
  Email email readonly
  Phone phone readonly
  LeadOrContactId reference(Contact,Lead) rel=LeadOrContact readonly
  LeadOrContactOwnerId reference(Group,User) rel=LeadOrContactOwner readonly
  Type string(40) readonly
  CompanyOrAccount string(255) readonly
LeadStatus | 01J | Lead Status Value | Lead Status Value | readonly
  Id id
  MasterLabel string(255) name readonly
  ApiName string(255) readonly
  SortOrder int readonly
  IsDefault boolean readonly
  IsConverted boolean readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
LeadHistory | 017 | Lead History | Lead History | readonly
  Id id
  IsDeleted boolean readonly
  LeadId reference(Lead) child=Histories readonly
  Field picklist readonly
  DataType picklist readonly
  OldValue string(255) nofilter readonly
  NewValue string(255) nofilter readonly
  CreatedById reference(User) rel=CreatedBy
  CreatedDate datetime readonly
Product2 | 01t | Product | Products
  Id id
  Name string(255) ! name
  ProductCode string(255)
  Description textarea(4000)
  IsActive boolean
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
  Family picklist {None|Instruments|Services|Consumables}
  CurrencyIsoCode picklist {USD|EUR}
  ExternalId string(255)
  DisplayUrl url(1000)
  QuantityUnitOfMeasure picklist
  IsDeleted boolean readonly
  IsArchived boolean readonly
  StockKeepingUnit string(180)
OpportunityLineItem | 00k | Opportunity Product | Opportunity Products
  Id id
  OpportunityId reference(Opportunity) ! child=OpportunityLineItems once
  SortOrder int
  PricebookEntryId reference(PricebookEntry) once
  Product2Id reference(Product2) child=OpportunityLineItems once
  ProductCode string(255) readonly
  Name string(376) name readonly
  CurrencyIsoCode picklist {USD|EUR}
  Quantity double(12,2) !
  Discount percent(3,2)
  Subtotal currency(16,2) calc
  TotalPrice currency(16,2)
  UnitPrice currency(16,2)
  ListPrice currency(16,2) readonly
  ServiceDate date
  Description string(255)
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
  IsDeleted boolean readonly
Case | 500 | Case | Cases
  Id id
  IsDeleted boolean readonly
  MasterRecordId reference(Case) rel=MasterRecord readonly
  CaseNumber string(30) ! name readonly
  ContactId reference(Contact) child=Cases
  AccountId reference(Account) child=Cases
  ParentId reference(Case) child=Cases
  SuppliedName string(80)
  SuppliedEmail email
  SuppliedPhone string(40)
  SuppliedCompany string(80)
  Type picklist {Problem|Feature Request|Question}
  RecordTypeId reference(RecordType)
  Status picklist {New|Working|Escalated|Closed}
  Reason picklist {Installation|Equipment Complexity|Performance|Breakdown|Equipment Design|Feedback|Other}
  Origin picklist {Phone|Email|Web}
  Subject string(255)
  Priority picklist {High|Medium|Low}
  Description textarea(32000)
  IsClosed boolean readonly
  ClosedDate datetime readonly
  IsEscalated boolean
  CurrencyIsoCode picklist {USD|EUR}
  OwnerId reference(Group,User) !
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
  ContactPhone phone readonly
  ContactMobile phone readonly
  ContactEmail email readonly
  ContactFax phone readonly
  Comments textarea(4000)
CaseHistory | 017 | Case History | Case History | readonly
  Id id
  IsDeleted boolean readonly
  CaseId reference(Case) child=Histories readonly
  Field picklist readonly
  DataType picklist readonly
  OldValue string(255) nofilter readonly
  NewValue string(255) nofilter readonly
  CreatedById reference(User) rel=CreatedBy
  CreatedDate datetime readonly
TaskRelation | 0RT | Task Relation | Task Relations
  Id id
  IsDeleted boolean readonly
  RelationId reference(Account,Contact,Lead,Opportunity) rel=Relation once
  TaskId reference(Task) child=TaskRelations once
  IsWhat boolean once
  AccountId reference(Account) readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
EmailMessageRelation | 0hM | Email Message Relation | Email Message Relations
  Id id
  EmailMessageId reference(EmailMessage) ! child=EmailMessageRelations once
  RelationId reference(Contact,Lead,User) rel=Relation child=EmailMessageRelations once
  RelationType picklist {FromAddress|ToAddress|CcAddress|BccAddress|OtherAddress} ! once
  RelationAddress string(255) once
  RelationObjectType string(50) readonly
  CreatedDate datetime readonly
  CreatedById reference(User) rel=CreatedBy
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) rel=LastModifiedBy
  SystemModstamp datetime readonly
  IsDeleted boolean readonly
"""
