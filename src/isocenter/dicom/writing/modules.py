"""Which elements an image of a class may have: those of the modules of its IOD, and no others.

Top level only, retired elements left out. Source: PS3.3 2024, sections A.3 (CT Image), A.4 (MR
Image), A.38 (Enhanced CT Image) and the modules that they name, in their order.
"""

from __future__ import annotations

from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, MRImageStorage

_OF_EVERY_IMAGE = """
    patient clinical-trial-subject general-study patient-study clinical-trial-study general-series
    clinical-trial-series frame-of-reference general-equipment enhanced-patient-orientation
    image-pixel device specimen sop-common common-instance-reference
"""
_OF_ONE_FRAME = "general-acquisition general-image general-reference image-plane contrast-bolus"

_IODS = {
    CTImageStorage: f"""{_OF_EVERY_IMAGE} {_OF_ONE_FRAME} synchronization ct-image
    multi-energy-ct-image overlay-plane voi-lut""",
    MRImageStorage: f"{_OF_EVERY_IMAGE} {_OF_ONE_FRAME} mr-image overlay-plane voi-lut",
    EnhancedCTImageStorage: f"""{_OF_EVERY_IMAGE} synchronization ct-series
    enhanced-general-equipment enhanced-contrast-bolus multi-frame-functional-groups
    multi-frame-dimension cardiac-synchronization respiratory-synchronization
    supplemental-palette-color-lookup-table acquisition-context enhanced-ct-image
    enhanced-multi-energy-ct-acquisition icc-profile frame-extraction""",
}

_MODULES: dict[str, str] = {
    "patient": """
        ReferencedPatientSequence PatientName PatientID IssuerOfPatientID TypeOfPatientID
        IssuerOfPatientIDQualifiersSequence SourcePatientGroupIdentificationSequence
        GroupOfPatientsIdentificationSequence PatientBirthDate PatientBirthTime
        PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar
        PatientAlternativeCalendar PatientSex QualityControlSubject StrainDescription
        StrainNomenclature StrainStockSequence StrainAdditionalInformation
        StrainCodeSequence GeneticModificationsSequence OtherPatientNames
        OtherPatientIDsSequence ReferencedPatientPhotoSequence EthnicGroupCodeSequence
        PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription
        PatientBreedCodeSequence BreedRegistrationSequence ResponsiblePerson
        ResponsiblePersonRole ResponsibleOrganization PatientComments PatientIdentityRemoved
        DeidentificationMethod DeidentificationMethodCodeSequence
    """,
    "clinical-trial-subject": """
        ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName
        IssuerOfClinicalTrialProtocolID OtherClinicalTrialProtocolIDsSequence
        ClinicalTrialSiteID ClinicalTrialSiteName IssuerOfClinicalTrialSiteID
        ClinicalTrialSubjectID IssuerOfClinicalTrialSubjectID ClinicalTrialSubjectReadingID
        IssuerOfClinicalTrialSubjectReadingID ClinicalTrialProtocolEthicsCommitteeName
        ClinicalTrialProtocolEthicsCommitteeApprovalNumber
    """,
    "general-study": """
        StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence
        ReferringPhysicianName ReferringPhysicianIdentificationSequence
        ConsultingPhysicianName ConsultingPhysicianIdentificationSequence StudyDescription
        ProcedureCodeSequence PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
        NameOfPhysiciansReadingStudy PhysiciansReadingStudyIdentificationSequence
        ReferencedStudySequence StudyInstanceUID StudyID RequestingService
        RequestingServiceCodeSequence ReasonForPerformedProcedureCodeSequence
    """,
    "patient-study": """
        AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize
        PatientSizeCodeSequence PatientBodyMassIndex MeasuredAPDimension
        MeasuredLateralDimension PatientWeight MedicalAlerts Allergies Occupation
        SmokingStatus AdditionalPatientHistory PregnancyStatus LastMenstrualDate
        PatientSexNeutered ReasonForVisit ReasonForVisitCodeSequence AdmissionID
        IssuerOfAdmissionIDSequence ServiceEpisodeID ServiceEpisodeDescription
        IssuerOfServiceEpisodeIDSequence PatientState
    """,
    "clinical-trial-study": """
        ClinicalTrialTimePointID ClinicalTrialTimePointDescription
        LongitudinalTemporalOffsetFromEvent LongitudinalTemporalEventType
        ClinicalTrialTimePointTypeCodeSequence IssuerOfClinicalTrialTimePointID
        ConsentForClinicalTrialUseSequence
    """,
    "general-series": """
        SeriesDate SeriesTime Modality SeriesDescription SeriesDescriptionCodeSequence
        PerformingPhysicianName PerformingPhysicianIdentificationSequence OperatorsName
        OperatorIdentificationSequence ReferencedPerformedProcedureStepSequence
        RelatedSeriesSequence AnatomicalOrientationType BodyPartExamined ProtocolName
        PatientPosition SeriesInstanceUID SeriesNumber Laterality SmallestPixelValueInSeries
        LargestPixelValueInSeries PerformedProcedureStepStartDate
        PerformedProcedureStepStartTime PerformedProcedureStepEndDate
        PerformedProcedureStepEndTime PerformedProcedureStepID
        PerformedProcedureStepDescription PerformedProtocolCodeSequence
        RequestAttributesSequence CommentsOnThePerformedProcedureStep TreatmentSessionUID
    """,
    "clinical-trial-series": """
        ClinicalTrialCoordinatingCenterName ClinicalTrialSeriesID
        ClinicalTrialSeriesDescription IssuerOfClinicalTrialSeriesID
    """,
    "frame-of-reference": """
        FrameOfReferenceUID PositionReferenceIndicator
    """,
    "synchronization": """
        TriggerSourceOrType SynchronizationTrigger SynchronizationChannel
        AcquisitionTimeSynchronized TimeSource TimeDistributionProtocol NTPSourceAddress
        SynchronizationFrameOfReferenceUID
    """,
    "general-equipment": """
        Manufacturer InstitutionName InstitutionAddress StationName
        InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence
        ManufacturerModelName DeviceSerialNumber DeviceUID GantryID UDISequence
        ManufacturerDeviceClassUID SoftwareVersions SpatialResolution DateOfLastCalibration
        TimeOfLastCalibration DateOfManufacture DateOfInstallation PixelPaddingValue
    """,
    "general-acquisition": """
        AcquisitionUID AcquisitionDate AcquisitionDateTime AcquisitionTime
        IrradiationEventUID AcquisitionDuration AcquisitionNumber ImagesInAcquisition
    """,
    "general-image": """
        ImageType ContentDate ContentTime AnatomicRegionSequence
        PrimaryAnatomicStructureSequence InstanceNumber PatientOrientation ImageLaterality
        ImageComments QualityControlImage BurnedInAnnotation RecognizableVisualFeatures
        LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod
        RealWorldValueMappingSequence IconImageSequence PresentationLUTShape
    """,
    "general-reference": """
        ReferencedImageSequence ReferencedInstanceSequence DerivationDescription
        SourceImageSequence DerivationCodeSequence SourceInstanceSequence
    """,
    "enhanced-patient-orientation": """
        PatientOrientationCodeSequence PatientEquipmentRelationshipCodeSequence
    """,
    "image-plane": """
        SliceThickness SpacingBetweenSlices ImagePositionPatient ImageOrientationPatient
        SliceLocation PixelSpacing
    """,
    "image-pixel": """
        SamplesPerPixel PhotometricInterpretation PlanarConfiguration Rows Columns
        PixelAspectRatio BitsAllocated BitsStored HighBit PixelRepresentation
        SmallestImagePixelValue LargestImagePixelValue PixelPaddingRangeLimit
        RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor
        BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData
        GreenPaletteColorLookupTableData BluePaletteColorLookupTableData ICCProfile
        ColorSpace PixelDataProviderURL ExtendedOffsetTable ExtendedOffsetTableLengths
        PixelData
    """,
    "contrast-bolus": """
        ContrastBolusAgent ContrastBolusAgentSequence
        ContrastBolusAdministrationRouteSequence ContrastBolusRoute ContrastBolusVolume
        ContrastBolusStartTime ContrastBolusStopTime ContrastBolusTotalDose ContrastFlowRate
        ContrastFlowDuration ContrastBolusIngredient ContrastBolusIngredientConcentration
    """,
    "device": """
        DeviceSequence
    """,
    "specimen": """
        ContainerIdentifier IssuerOfTheContainerIdentifierSequence
        AlternateContainerIdentifierSequence ContainerTypeCodeSequence ContainerDescription
        ContainerComponentSequence SpecimenDescriptionSequence
    """,
    "ct-image": """
        ImageType AnatomicRegionSequence PrimaryAnatomicStructureSequence ScanOptions KVP
        DataCollectionDiameter ReconstructionDiameter DistanceSourceToDetector
        DistanceSourceToPatient GantryDetectorTilt TableHeight RotationDirection
        ExposureTime XRayTubeCurrent Exposure ExposureInuAs
        ImageAndFluoroscopyAreaDoseProduct FilterType GeneratorPower FocalSpots
        ConvolutionKernel WaterEquivalentDiameter
        WaterEquivalentDiameterCalculationMethodCodeSequence FilterMaterial RevolutionTime
        SingleCollimationWidth TotalCollimationWidth TableSpeed TableFeedPerRotation
        SpiralPitchFactor DataCollectionCenterPatient ReconstructionTargetCenterPatient
        ExposureModulationType CTDIvol CTDIPhantomTypeCodeSequence
        CalciumScoringMassFactorPatient CalciumScoringMassFactorDevice EnergyWeightingFactor
        CTAdditionalXRaySourceSequence MultienergyCTAcquisition AcquisitionNumber
        SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored HighBit
        RescaleIntercept RescaleSlope RescaleType ViewCodeSequence SliceProgressionDirection
        ScanStartPositionSequence ScanStopPositionSequence ScanArcType
        DetectorPositioningType IsocenterPosition EquipmentFrameOfReferenceUID
        PatientTreatmentPreparationSequence PatientToEquipmentRelationshipSequence
        ImagingEquipmentToTreatmentDeliveryDeviceRelationshipSequence
        ReferencedRTPlanSequence
    """,
    "multi-energy-ct-image": """
        MultienergyCTAcquisitionSequence MultienergyCTProcessingSequence
        MultienergyCTCharacteristicsSequence
    """,
    "overlay-plane": """
        OverlayRows OverlayColumns OverlayDescription OverlayType OverlaySubtype
        OverlayOrigin OverlayBitsAllocated OverlayBitPosition ROIArea ROIMean
        ROIStandardDeviation OverlayLabel OverlayData
    """,
    "voi-lut": """
        WindowCenter WindowWidth WindowCenterWidthExplanation VOILUTFunction VOILUTSequence
    """,
    "sop-common": """
        SpecificCharacterSet InstanceCreationDate InstanceCreationTime InstanceCreatorUID
        InstanceCoercionDateTime SOPClassUID SOPInstanceUID RelatedGeneralSOPClassUID
        OriginalSpecializedSOPClassUID SyntheticData QueryRetrieveView
        CodingSchemeIdentificationSequence ContextGroupIdentificationSequence
        MappingResourceIdentificationSequence TimezoneOffsetFromUTC
        PrivateDataElementCharacteristicsSequence ContentQualification
        ReferencedDefinedProtocolSequence ReferencedPerformedProtocolSequence
        ContributingEquipmentSequence InstanceNumber ConversionSourceAttributesSequence
        LongitudinalTemporalInformationModified HL7StructuredDocumentReferenceSequence
        SOPInstanceStatus SOPAuthorizationDateTime SOPAuthorizationComment
        AuthorizationEquipmentCertificationNumber EncryptedAttributesSequence
        OriginalAttributesSequence InstanceOriginStatus BarcodeValue MACParametersSequence
        DigitalSignaturesSequence
    """,
    "common-instance-reference": """
        ReferencedSeriesSequence StudiesContainingOtherReferencedInstancesSequence
    """,
    "mr-image": """
        ImageType AnatomicRegionSequence PrimaryAnatomicStructureSequence ScanningSequence
        SequenceVariant ScanOptions MRAcquisitionType SequenceName AngioFlag RepetitionTime
        EchoTime InversionTime NumberOfAverages ImagingFrequency ImagedNucleus EchoNumbers
        MagneticFieldStrength NumberOfPhaseEncodingSteps EchoTrainLength PercentSampling
        PercentPhaseFieldOfView PixelBandwidth TriggerTime NominalInterval BeatRejectionFlag
        LowRRValue HighRRValue IntervalsAcquired IntervalsRejected PVCRejection SkipBeats
        HeartRate CardiacNumberOfImages TriggerWindow ReconstructionDiameter ReceiveCoilName
        TransmitCoilName AcquisitionMatrix InPlanePhaseEncodingDirection FlipAngle
        VariableFlipAngleFlag SAR dBdt B1rms TemporalPositionIdentifier
        NumberOfTemporalPositions TemporalResolution SamplesPerPixel
        PhotometricInterpretation BitsAllocated BitsStored HighBit ViewCodeSequence
        SliceProgressionDirection IsocenterPosition EquipmentFrameOfReferenceUID
        PatientTreatmentPreparationSequence PatientToEquipmentRelationshipSequence
        ImagingEquipmentToTreatmentDeliveryDeviceRelationshipSequence
        ReferencedRTPlanSequence
    """,
    "ct-series": """
        Modality ReferencedPerformedProcedureStepSequence
    """,
    "enhanced-general-equipment": """
        Manufacturer ManufacturerModelName DeviceSerialNumber SoftwareVersions
    """,
    "enhanced-contrast-bolus": """
        ContrastBolusAgentSequence
    """,
    "multi-frame-functional-groups": """
        ContentDate ContentTime InstanceNumber SOPInstanceUIDOfConcatenationSource
        ConcatenationUID InConcatenationNumber InConcatenationTotalNumber
        ConcatenationFrameOffsetNumber StereoPairsPresent NumberOfFrames
        RepresentativeFrameNumber SharedFunctionalGroupsSequence
        PerFrameFunctionalGroupsSequence EncapsulatedPixelDataValueTotalLength
    """,
    "multi-frame-dimension": """
        DimensionOrganizationSequence DimensionIndexSequence DimensionOrganizationType
    """,
    "cardiac-synchronization": """
        CardiacFramingType LowRRValue HighRRValue IntervalsAcquired IntervalsRejected
        SkipBeats CardiacSynchronizationTechnique CardiacRRIntervalSpecified
        CardiacSignalSource CardiacBeatRejectionTechnique
    """,
    "respiratory-synchronization": """
        RespiratoryMotionCompensationTechnique RespiratorySignalSource
        RespiratoryTriggerType RespiratoryTriggerDelayThreshold
    """,
    "supplemental-palette-color-lookup-table": """
        RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor
        BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData
        GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
    """,
    "acquisition-context": """
        AcquisitionContextSequence AcquisitionContextDescription
    """,
    "enhanced-ct-image": """
        ImageType AcquisitionDateTime ReferencedWaveformSequence
        ReferencedImageEvidenceSequence ReferencedRawDataSequence
        SourceImageEvidenceSequence PixelPresentation VolumetricProperties
        VolumeBasedCalculationTechnique ReferencedPresentationStateSequence
        ContentQualification AcquisitionDuration MultienergyCTAcquisition AcquisitionNumber
        ImageComments SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored
        HighBit BurnedInAnnotation RecognizableVisualFeatures LossyImageCompression
        LossyImageCompressionRatio LossyImageCompressionMethod ViewCodeSequence
        SliceProgressionDirection IconImageSequence PresentationLUTShape IsocenterPosition
        EquipmentFrameOfReferenceUID PatientTreatmentPreparationSequence
        PatientToEquipmentRelationshipSequence
        ImagingEquipmentToTreatmentDeliveryDeviceRelationshipSequence
        ReferencedRTPlanSequence
    """,
    "enhanced-multi-energy-ct-acquisition": """
        MultienergyCTXRaySourceSequence MultienergyCTXRayDetectorSequence
        MultienergyCTPathSequence
    """,
    "icc-profile": """
        ICCProfile ColorSpace
    """,
    "frame-extraction": """
        FrameExtractionSequence
    """,
}

_KEYWORDS: dict[str, frozenset[str]] = {
    uid: frozenset(word for module in modules.split() for word in _MODULES[module].split())
    for uid, modules in _IODS.items()
}


def keywords_of(sop_class_uid: str) -> frozenset[str]:
    """Keywords that an object of this class may have at its top; of any of ours if it is unknown.

    What is not written itself (a Legacy Converted Enhanced CT that was read) only lends its person,
    study and geometry to a result, so there nothing needs to be told apart.
    """
    return _KEYWORDS.get(sop_class_uid, frozenset().union(*_KEYWORDS.values()))
